//! Bodies of one thing or a list of them: of a list all are taken or none, and what is wrong says in which.

use crate::api::{
    Problem,
    body::{RawJson, parse_json},
};
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// Entries of a list at most.
const MAX_ENTRIES: usize = 100;

/// One entry or a list of them.
#[derive(Debug)]
pub(super) struct MaybeListed<T> {
    /// Whether it is a list.
    pub(super) listed: bool,
    /// The entries.
    pub(super) entries: Vec<T>,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for MaybeListed<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let RawJson(bytes) = RawJson::from_request(request, state).await?;
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'[') {
            return Ok(MaybeListed { listed: false, entries: vec![parse_json(&bytes)?] });
        }
        let malformed = |error| Problem::bad_request("malformed_json", format!("The body is not JSON: {error}."));
        let texts: Vec<Box<RawValue>> = serde_json::from_slice(&bytes).map_err(malformed)?;
        if !(1..=MAX_ENTRIES).contains(&texts.len()) {
            return Err(Problem::field(&["body"], "length", format!("A list has 1 to {MAX_ENTRIES} entries.")));
        }
        let read = texts
            .iter()
            .enumerate()
            .map(|(number, text)| parse_json(text.get().as_bytes()).map_err(|problem| placed_in(problem, number)));
        Ok(MaybeListed { listed: true, entries: read.collect::<Result<_, _>>()? })
    }
}

/// The problem of an entry of a list, with its number in the place.
pub(super) fn placed_in(mut problem: Problem, number: usize) -> Problem {
    if let Problem::Invalid(faults) = &mut problem {
        faults.iter_mut().for_each(|fault| fault.loc.insert(fault.loc.len().min(1), number.to_string()));
    }
    problem
}

//! The ledger: `…/msg/{id}/ledger` says what became of a message at every endpoint, `…/endpoint/{id}/ledger` lists every
//! message that is an endpoint's, for a receiver that asks whether it got everything.

mod endpoint;
mod message;

use super::{Shared, problem::Problem};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Entries of a page when nothing is said.
const DEFAULT_LIMIT: u64 = 100;
/// Entries of a page at most.
const MAX_LIMIT: u64 = 1000;

/// The operations of the ledger.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(message::ledger)).routes(routes!(endpoint::ledger))
}

fn limit(asked: Option<u64>) -> Result<usize, Problem> {
    let limit = asked.unwrap_or(DEFAULT_LIMIT);
    match usize::try_from(limit) {
        Ok(limit) if (1..=MAX_LIMIT).contains(&(limit as u64)) => Ok(limit),
        _ => Err(Problem::field(&["query", "limit"], "range", "A number from 1 to 1000.")),
    }
}

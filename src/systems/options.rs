//! What the systems are told once, at the start.

use crate::{
    api::{Problem, Shared},
    model::System,
};
use axum::{extract::FromRequestParts, http::request::Parts};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Where the third system answers too, unless configured otherwise.
const NUDJ_PREFIX: &str = "/api/v2/admin";

/// What the systems are told once, at the start.
#[derive(Clone, Default)]
pub struct Options {
    /// The systems that are switched on.
    pub on: Vec<System>,
    /// The profile of new endpoints by the system that makes them, where it is not the system's own: another brand.
    pub profiles: Vec<(System, String)>,
    /// A second place of Nudj's routes, as `/api/v2/admin`; empty: none.
    pub nudj_prefix: String,
    /// From where deliveries come, as CIDR, for receivers that let in certain addresses only.
    pub ip_ranges: Vec<String>,
    /// With which Linear signs what it sends to Alumia's built-in receiver. `None`: there is no such receiver.
    pub linear_secret: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("on", &self.on).finish_non_exhaustive()
    }
}

impl Options {
    /// Every system, as documented.
    #[must_use]
    pub fn all() -> Self {
        Options { on: System::ALL.to_vec(), nudj_prefix: NUDJ_PREFIX.to_owned(), ..Options::default() }
    }

    /// Whether a system is switched on.
    #[must_use]
    pub fn is_on(&self, system: System) -> bool {
        self.on.contains(&system)
    }

    /// The name of the profile of new endpoints of a system.
    #[must_use]
    pub fn profile(&self, system: System) -> String {
        let other = self.profiles.iter().find(|(of, _)| *of == system).map(|(_, profile)| profile.as_str());
        other.unwrap_or(system.name()).to_owned()
    }
}

/// The options, in a handler.
#[derive(Clone, Debug)]
pub(crate) struct Told(pub(crate) Arc<Options>);

impl FromRequestParts<Shared> for Told {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        // The router of every surface puts them there.
        parts.extensions.get::<Arc<Options>>().cloned().map(Told).ok_or(Problem::Internal)
    }
}

//! The documented systems: each is a surface (routes and JSON of its own) and a profile on the one engine.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A documented system, by the surface that makes its endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// Endpoints of an application, managed by user sessions.
    Alakazam,
    /// Inbound receivers that forward.
    Alumia,
    /// Configurations of an organization, and a log of every attempt.
    Nudj,
    /// Endpoints with filters, and their monitoring.
    Ilara,
    /// Endpoints with retrievable, rotating secrets.
    Connect,
}

impl System {
    /// All of them, in the order of their names in the documentation.
    pub const ALL: [System; 5] = [System::Alakazam, System::Alumia, System::Nudj, System::Ilara, System::Connect];

    /// Its name, which is also its profile's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            System::Alakazam => "alakazam",
            System::Alumia => "alumia",
            System::Nudj => "nudj",
            System::Ilara => "ilara",
            System::Connect => "connect",
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_are_stored() {
        for system in System::ALL {
            assert_eq!(serde_json::to_value(system).unwrap(), system.name());
        }
    }
}

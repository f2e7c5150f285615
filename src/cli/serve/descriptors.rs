//! Who may have how many of the process's files and connections, so that neither clients nor receivers take what the others,
//! or the store, cannot do without.

use crate::{flow::Settings, outbound::OutboundConfig};

/// Attempts in flight, connections of clients and files of the store: what to ask of the system, if it allows so many.
const WANTED: u64 = 65_536;
/// Connections of clients at once, if the system gives descriptors for so many; more wait in the system's backlog.
const CLIENTS: u64 = 16_384;
/// Kept for files of the store (it has 900 open at most), connections to a database, and what the process itself has open.
const STORE: u64 = 1_024;
/// Of few descriptors, attempts in flight take one of so many at most.
const PART_OF_ATTEMPTS: u64 = 4;
/// Connections to receivers at rest take one of so many at most.
const PART_OF_IDLE: u64 = 8;
/// The store keeps one of so many at most.
const PART_OF_STORE: u64 = 8;

/// How descriptors are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Descriptors {
    /// Attempts in flight. Each has one: it looks a name up, and then it dials.
    pub(super) attempts: usize,
    /// Connections to receivers that are kept at rest.
    pub(super) idle: usize,
    /// Connections of clients.
    pub(super) clients: u32,
}

impl Descriptors {
    /// Asks the system for as many as it gives without privileges, and shares them out.
    pub(super) fn raise() -> Self {
        Self::of(raise())
    }

    /// Shares so many out. Deliveries and the store get what they can need; of few, a quarter and two eighths: clients get the
    /// rest.
    pub(super) fn of(all: u64) -> Self {
        let share = |wanted: u64, part: u64| wanted.min(all / part).max(1);
        let attempts = share(wide(Settings::default().max_in_flight), PART_OF_ATTEMPTS);
        let idle = share(wide(OutboundConfig::default().idle_total), PART_OF_IDLE);
        let rest = all.saturating_sub(attempts + idle + share(STORE, PART_OF_STORE));
        let narrow = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let clients = u32::try_from(rest.clamp(1, CLIENTS)).unwrap_or(u32::MAX);
        Descriptors { attempts: narrow(attempts), idle: narrow(idle), clients }
    }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Asks the system for more file descriptors, up to what it allows without privileges; how many there are then.
fn raise() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(WANTED, |most| most.min(WANTED));
    let Some(current) = current.filter(|current| *current < wanted) else { return current.unwrap_or(wanted) };
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        Ok(()) => wanted,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files stays as it was");
            current
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_shared_out_than_there_is_and_nobody_goes_without() {
        for all in [8, 100, 400, 1_024, 4_096, 20_000, 65_536, 1 << 30] {
            let Descriptors { attempts, idle, clients } = Descriptors::of(all);
            assert!(attempts > 0 && idle > 0 && clients > 0, "{all}");
            let given = wide(attempts) + wide(idle) + u64::from(clients);
            assert!(given + STORE.min(all / PART_OF_STORE) <= all, "{given} of {all}");
        }
    }

    #[test]
    fn of_few_half_are_the_clients_and_of_many_all_that_others_do_not_need() {
        assert_eq!(Descriptors::of(400), Descriptors { attempts: 100, idle: 50, clients: 200 });
        assert_eq!(Descriptors::of(20_000), Descriptors { attempts: 4_096, idle: 2_500, clients: 12_380 });
        assert_eq!(Descriptors::of(65_536), Descriptors { attempts: 4_096, idle: 4_096, clients: 16_384 });
    }
}

//! A circuit: an endpoint that keeps failing is left alone for a while, then probed by one attempt.
//!
//! ```text
//! closed ──OPEN_AFTER failures in a row──▶ open ──its time is over──▶ half open (one attempt)
//!    ▲                                       ▲                          │        │
//!    │                                       └────── it fails: twice as long     │
//!    └─────────────────────────────── it succeeds: slow start ───────────────────┘
//! ```

use crate::model::Time;
use std::time::Duration;

/// Failures in a row that open it.
const OPEN_AFTER: u32 = 20;
/// How long it is open at first.
const FIRST: Duration = Duration::from_secs(1);
/// How long it is open at most.
const LONGEST: Duration = Duration::from_secs(30);

/// Whether an endpoint is left alone.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    failures: u32,
    opened: u32,
    open_until: Option<Time>,
    probing: bool,
}

/// A circuit's state, to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitState {
    /// Attempts are made.
    Closed,
    /// None before that time.
    Open(Time),
    /// One attempt finds out whether the endpoint is back.
    HalfOpen,
}

/// Whether an attempt may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Go,
    At(Time),
    Rest,
}

impl Circuit {
    pub(super) fn state(&self, now: Time) -> CircuitState {
        match self.open_until {
            None => CircuitState::Closed,
            Some(until) if until > now => CircuitState::Open(until),
            Some(_) => CircuitState::HalfOpen,
        }
    }

    /// Whether an attempt may start; ask when it will, if it may: the probe is one.
    pub(super) fn gate(&self, now: Time) -> Gate {
        match self.state(now) {
            CircuitState::Closed => Gate::Go,
            CircuitState::Open(until) => Gate::At(until),
            CircuitState::HalfOpen if self.probing => Gate::Rest,
            CircuitState::HalfOpen => Gate::Go,
        }
    }

    /// An attempt starts.
    pub(super) fn starts(&mut self) {
        self.probing = self.open_until.is_some();
    }

    /// Learns from an attempt that has ended; whether the endpoint is back. `None`: there was no attempt.
    pub(super) fn learn(&mut self, good: Option<bool>, now: Time) -> bool {
        let probed = std::mem::replace(&mut self.probing, false);
        match good {
            None => false,
            Some(true) => {
                let back = self.open_until.is_some();
                *self = Circuit::default();
                back
            }
            // One that was under way when it opened says nothing new.
            Some(false) if self.open_until.is_some() && !probed => false,
            Some(false) => {
                self.failures = self.failures.saturating_add(1);
                if probed || self.failures >= OPEN_AFTER {
                    self.open_until = Some(now.plus(pause(self.opened)));
                    self.opened += 1;
                }
                false
            }
        }
    }

    /// Somebody's own attempt has failed. That says nothing of how the endpoint does by itself; but while it is left alone, it is
    /// for as long again, or what is replayed would be tried without a pause. Whether the endpoint is back: it is not.
    pub(super) fn tried_in_vain(&mut self, now: Time) -> bool {
        if std::mem::replace(&mut self.probing, false) && self.open_until.is_some() {
            self.open_until = Some(now.plus(pause(self.opened.saturating_sub(1))));
        }
        false
    }
}

/// How long it is open after it has been opened so many times in a row.
fn pause(opened: u32) -> Duration {
    FIRST.saturating_mul(1 << opened.min(16)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn opened(at: Time) -> Circuit {
        let mut circuit = Circuit::default();
        (0..OPEN_AFTER).for_each(|_| assert!(!circuit.learn(Some(false), at)));
        circuit
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_probe_closes_it() {
        let mut circuit = opened(Time(0));
        assert_eq!(circuit.gate(Time(999)), Gate::At(Time(1000)));
        assert!(!circuit.learn(Some(false), Time(500)), "it was under way");
        assert_eq!(circuit.gate(Time(1000)), Gate::Go);
        circuit.starts();
        assert_eq!(circuit.gate(Time(1001)), Gate::Rest, "one probe at a time");
        circuit.learn(Some(false), Time(1100));
        assert_eq!(circuit.state(Time(1100)), CircuitState::Open(Time(3100)), "twice as long");
        circuit.starts();
        assert!(circuit.learn(Some(true), Time(3200)));
        assert_eq!(circuit.state(Time(3200)), CircuitState::Closed);
        assert!(!circuit.learn(Some(true), Time(3201)), "it was back before");
    }

    #[test]
    fn a_success_between_keeps_it_closed() {
        let mut circuit = Circuit::default();
        for _ in 0..5 {
            (1..OPEN_AFTER).for_each(|_| assert!(!circuit.learn(Some(false), Time(0))));
            circuit.learn(Some(true), Time(0));
        }
        assert_eq!(circuit.gate(Time(0)), Gate::Go);
    }

    #[test]
    fn what_somebody_tries_in_vain_opens_nothing_and_prolongs_no_pause() {
        let mut circuit = Circuit::default();
        (0..100).for_each(|_| assert!(!circuit.tried_in_vain(Time(0))));
        assert_eq!(circuit.state(Time(0)), CircuitState::Closed);
        let mut circuit = opened(Time(0));
        for at in [1000, 2500, 4000] {
            assert_eq!(circuit.gate(Time(at)), Gate::Go);
            circuit.starts();
            circuit.tried_in_vain(Time(at + 500));
            assert_eq!(circuit.state(Time(at + 500)), CircuitState::Open(Time(at + 1500)), "as long as before");
        }
    }

    proptest! {
        /// Whatever happens, it is open for at most the longest pause from the last failure on.
        #[test]
        fn it_is_never_open_for_long(events: Vec<(Option<bool>, u16)>) {
            let (mut circuit, mut now) = (Circuit::default(), Time(0));
            for (good, wait) in events {
                now = now.plus(Duration::from_millis(wait.into()));
                match circuit.gate(now) {
                    Gate::At(until) => {
                        prop_assert!(until > now && until <= now.plus(LONGEST));
                        now = until;
                    }
                    gate => prop_assert_eq!(gate, Gate::Go, "a probe that has ended blocks nothing"),
                }
                prop_assert_eq!(circuit.gate(now), Gate::Go);
                circuit.starts();
                circuit.learn(good, now);
            }
        }
    }
}

//! Judges what arrived of messages that were to come in order.

use std::collections::BTreeMap;

/// A request that arrived: its key, its number within it, and whether it was answered well.
#[derive(Clone, Copy, Debug)]
pub struct Came {
    pub key: u64,
    pub number: u64,
    pub taken: bool,
}

/// What became of a key's messages.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Messages that arrived.
    pub messages: usize,
    /// Of those, how many were never answered well.
    pub given_up: usize,
    /// Arrivals of a message after one behind it had come.
    pub late: usize,
}

#[derive(Default)]
struct Key {
    /// Of each number: how often it came, and whether it was taken.
    came: BTreeMap<u64, (usize, bool)>,
}

/// The rule: a message does not come before all of its key that are before it were taken, or came `attempts` times.
/// `counts` says which messages the rule is for.
pub fn judge(arrivals: &[Came], attempts: usize, counts: impl Fn(u64, u64) -> bool) -> Verdict {
    let mut keys = BTreeMap::<u64, Key>::new();
    let mut verdict = Verdict::default();
    for came in arrivals.iter().filter(|came| counts(came.key, came.number)) {
        let key = keys.entry(came.key).or_default();
        let is_first = !key.came.contains_key(&came.number);
        let last = key.came.last_key_value().map_or(0, |(number, _)| *number);
        assert!(!is_first || came.number > last, "{came:?} came first after {last}");
        verdict.late += usize::from(came.number < last);
        if is_first {
            let open: Vec<_> = key.came.iter().filter(|(_, (times, taken))| !taken && *times < attempts).collect();
            assert!(open.is_empty(), "{came:?} came before the end of {open:?}");
        }
        let (times, taken) = key.came.entry(came.number).or_default();
        *times += 1;
        *taken |= came.taken;
    }
    for (_, taken) in keys.values().flat_map(|key| key.came.values()) {
        verdict.messages += 1;
        verdict.given_up += usize::from(!taken);
    }
    verdict
}

#[test]
fn a_message_before_its_turn_is_found() {
    let came = |number, taken| Came { key: 1, number, taken };
    let fails = |arrivals: &[Came]| std::panic::catch_unwind(|| judge(arrivals, 2, |_, _| true)).is_err();
    assert!(fails(&[came(1, false), came(2, true)]));
    assert!(fails(&[came(2, true), came(1, true)]));
    assert!(!fails(&[came(1, false), came(1, false), came(2, true), came(1, true), came(3, true)]));
    assert_eq!(judge(&[came(1, true), came(2, true), came(1, true)], 2, |_, _| true).late, 1);
}

//! From what a look found to what is told: once when an incident begins, once when it ends, and never more often than the
//! rule's cooldown allows. What comes and goes in between is not told at all.

use crate::model::{AlertState, AppId, Ended, EndpointId, Incident, Time};
use std::{collections::BTreeMap, time::Duration};

/// Endpoints that a state lists at most.
const MAX_INCIDENTS: usize = 1_000;

/// An endpoint for which a rule's condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The application.
    pub(super) app: AppId,
    /// The endpoint.
    pub(super) endpoint: EndpointId,
    /// What was found, in words.
    pub(super) finding: String,
}

/// What is to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// What began.
    pub(super) began: Vec<Incident>,
    /// How many more began, which are not listed.
    pub(super) unlisted: u64,
    /// What ended.
    pub(super) over: Vec<Incident>,
}

/// Moves a state on; what is to be told of it, if anything.
pub(super) fn step(
    state: &mut AlertState,
    found: &[Found],
    ending: impl Fn(&Incident) -> Ended,
    (now, cooldown): (Time, Duration),
) -> Option<Told> {
    let mut left: BTreeMap<EndpointId, &Found> = found.iter().map(|found| (found.endpoint, found)).collect();
    state.incidents.retain_mut(|incident| {
        if let Some(found) = left.remove(&incident.endpoint) {
            incident.finding.clone_from(&found.finding);
            incident.ended = None;
            return true;
        }
        incident.ended = incident.ended.or_else(|| Some(ending(incident)));
        // Nobody knows of it, so that nobody need know that it is over.
        incident.told
    });
    let room = MAX_INCIDENTS.saturating_sub(state.incidents.len());
    let before = std::mem::replace(&mut state.unlisted, left.len().saturating_sub(room) as u64);
    let fresh = left.into_values().take(room).map(|found| Incident {
        app: found.app,
        endpoint: found.endpoint,
        since: now,
        finding: found.finding.clone(),
        told: false,
        ended: None,
    });
    state.incidents.extend(fresh);
    state.incidents.sort_by_key(|incident| incident.endpoint);
    if now < state.quiet_until {
        return None;
    }
    let told = Told {
        began: state.incidents.iter().filter(|incident| !incident.told).cloned().collect(),
        unlisted: state.unlisted.saturating_sub(before),
        over: state.incidents.iter().filter(|incident| incident.ended.is_some()).cloned().collect(),
    };
    if told.began.is_empty() && told.over.is_empty() {
        return None;
    }
    state.incidents.retain(|incident| incident.ended.is_none());
    state.incidents.iter_mut().for_each(|incident| incident.told = true);
    state.quiet_until = now.plus(cooldown);
    Some(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AlertId, OrgId};

    const COOLDOWN: Duration = Duration::from_secs(300);

    struct Rule(AlertState);

    impl Rule {
        fn new() -> Self {
            Rule(AlertState {
                org: OrgId(1),
                alert: AlertId(1),
                look_at: Time(0),
                quiet_until: Time(0),
                incidents: Vec::new(),
                unlisted: 0,
                open: Vec::new(),
            })
        }

        /// Finds these endpoints at that second; what is told: how many began, how many more, how many are over.
        fn at(&mut self, second: u64, found: impl IntoIterator<Item = u128>) -> Option<(usize, u64, usize)> {
            let found =
                found.into_iter().map(|n| Found { app: AppId(9), endpoint: EndpointId(n), finding: format!("at {second}") });
            let found: Vec<_> = found.collect();
            let told = step(&mut self.0, &found, |_| Ended::Recovered, (Time(second * 1000), COOLDOWN));
            told.map(|told| (told.began.len(), told.unlisted, told.over.len()))
        }
    }

    #[test]
    fn an_incident_is_told_once_and_its_end_once() {
        let mut rule = Rule::new();
        assert_eq!(rule.at(0, []), None);
        assert_eq!(rule.at(10, [1]), Some((1, 0, 0)));
        assert_eq!(rule.at(20, [1]), None);
        assert_eq!(rule.at(1000, [1]), None, "also after the cooldown");
        assert_eq!(rule.0.incidents[0].finding, "at 1000", "what is found now is known");
        assert_eq!(rule.at(1010, []), Some((0, 0, 1)));
        assert_eq!(rule.at(2000, []), None);
        assert!(rule.0.incidents.is_empty());
    }

    #[test]
    fn what_happens_within_the_cooldown_is_gathered() {
        let mut rule = Rule::new();
        assert_eq!(rule.at(0, [1]), Some((1, 0, 0)));
        assert_eq!(rule.at(10, 1..=200), None);
        assert_eq!(rule.at(20, 2..=300), None);
        assert_eq!(rule.at(300, 2..=400), Some((399, 0, 1)), "one notice of all");
        assert_eq!(rule.at(310, []), None);
        assert_eq!(rule.at(600, []), Some((0, 0, 399)));
    }

    #[test]
    fn what_comes_and_goes_within_the_cooldown_is_not_told() {
        let mut rule = Rule::new();
        assert_eq!(rule.at(0, [1]), Some((1, 0, 0)));
        for second in (10..280).step_by(20) {
            assert_eq!(rule.at(second, []), None);
            assert_eq!(rule.at(second + 10, [1, 2]), None);
        }
        assert_eq!(rule.at(305, [1]), None, "1 goes on as far as anybody knows, and 2 was never heard of");
    }

    #[test]
    fn beyond_the_limit_they_are_counted() {
        let mut rule = Rule::new();
        assert_eq!(rule.at(0, 0..1_500), Some((MAX_INCIDENTS, 500, 0)));
        assert_eq!(rule.at(10, 0..1_500), None);
        assert_eq!(rule.0.incidents.len(), MAX_INCIDENTS);
        assert_eq!(rule.at(400, 0..1_500), None, "nothing new");
    }
}

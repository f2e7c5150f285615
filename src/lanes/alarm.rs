//! When lanes that wait for a time are to be looked at: the earliest first.

use super::Ring;
use crate::model::{EndpointId, Time};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use tokio::sync::Notify;

/// Times and the lanes to be looked at then: one of each lane.
#[derive(Debug, Default)]
pub struct Alarm {
    times: Mutex<BTreeSet<(Time, EndpointId)>>,
    earlier: Notify,
}

impl Alarm {
    /// Asks for a look at that time.
    pub fn set(&self, Ring { at, instead_of }: Ring, endpoint: EndpointId) {
        let mut times = self.times.lock();
        let is_first = times.first().is_none_or(|(first, _)| at < *first);
        if let Some(before) = instead_of {
            times.remove(&(before, endpoint));
        }
        times.insert((at, endpoint));
        drop(times);
        if is_first {
            self.earlier.notify_one();
        }
    }

    /// Takes the alarms whose time has come, and the time of the next.
    pub fn due(&self, now: Time) -> (Vec<(Time, EndpointId)>, Option<Time>) {
        let mut times = self.times.lock();
        let mut due = Vec::new();
        while let Some((at, endpoint)) = times.pop_first() {
            if at > now {
                times.insert((at, endpoint));
                return (due, Some(at));
            }
            due.push((at, endpoint));
        }
        (due, None)
    }

    /// Waits until an earlier time than all others has been set.
    pub async fn changed(&self) {
        self.earlier.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::Lanes;

    #[test]
    fn a_lane_that_is_looked_at_again_and_again_keeps_one_alarm() {
        let (lanes, endpoint, late) = (Lanes::new(2), EndpointId(1), Time(1_000_000));
        let lane = lanes.open(endpoint);
        for now in (0..1000).map(Time) {
            // Something is due at once, and something else much later.
            lane.note_due(now).into_iter().for_each(|ring| lanes.alarm.set(ring, endpoint));
            let (due, _) = lanes.alarm.due(now);
            assert_eq!(due, [(now, endpoint)]);
            assert!(lane.rings(now));
            lane.set_alarm(late).into_iter().for_each(|ring| lanes.alarm.set(ring, endpoint));
            lane.look(now);
            assert!(lane.set_alarm(late).is_none());
        }
        assert_eq!(lanes.alarm.times.lock().len(), 1);
        assert_eq!(lanes.alarm.due(late), (vec![(late, endpoint)], None));
    }
}

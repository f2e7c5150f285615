//! When lanes that wait for a time are to be looked at: the earliest first.

use crate::model::{EndpointId, Time};
use parking_lot::Mutex;
use std::{cmp::Reverse, collections::BinaryHeap};
use tokio::sync::Notify;

/// Times and the lanes to be looked at then.
#[derive(Debug, Default)]
pub struct Alarm {
    times: Mutex<BinaryHeap<Reverse<(Time, EndpointId)>>>,
    earlier: Notify,
}

impl Alarm {
    /// Asks for a look at that time.
    pub fn set(&self, at: Time, endpoint: EndpointId) {
        let mut times = self.times.lock();
        let is_first = times.peek().is_none_or(|Reverse((first, _))| at < *first);
        times.push(Reverse((at, endpoint)));
        drop(times);
        if is_first {
            self.earlier.notify_one();
        }
    }

    /// Takes the alarms whose time has come, and the time of the next.
    pub fn due(&self, now: Time) -> (Vec<(Time, EndpointId)>, Option<Time>) {
        let mut times = self.times.lock();
        let mut due = Vec::new();
        while let Some(Reverse((at, endpoint))) = times.peek().copied() {
            if at > now {
                return (due, Some(at));
            }
            times.pop();
            due.push((at, endpoint));
        }
        (due, None)
    }

    /// Waits until an earlier time than all others has been set.
    pub async fn changed(&self) {
        self.earlier.notified().await;
    }
}

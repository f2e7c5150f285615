//! Cancelling: a pending delivery, also one that is held, is owed no longer.
//!
//! What waits in a lane's memory is taken out, here at once and in other processes as soon as they hear of it. An attempt
//! that flies is recorded; its success wins, its failure revives nothing. In strict order such an attempt of this process is
//! waited for, so that the next of the key does not overtake it; where many are cancelled it is left to end, or else each that
//! ends would let one more begin. Nothing of it counts against an endpoint's health.

use super::{Engine, configure::to_the_end};
use crate::{
    lanes::Work,
    model::{AppId, EndpointId, MsgId, Trigger},
    store::{Expunge, StoreError},
};
use std::{sync::Arc, time::Duration};

/// Between two looks at an attempt that is waited for; its own deadline ends it.
const LOOK: Duration = Duration::from_millis(10);

/// A delivery to be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancel {
    /// The application.
    pub app: AppId,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The message.
    pub msg: MsgId,
    /// Whether the endpoint gets the message in strict order.
    pub ordered: bool,
    /// Whether it is one of many, so that an attempt in strict order that flies is left to end.
    pub of_many: bool,
}

impl Engine {
    /// Cancels a delivery; `false` when it is not pending, and nothing changes.
    ///
    /// # Errors
    /// The store is away, full or damaged.
    pub async fn cancel(self: &Arc<Self>, which: Cancel) -> Result<bool, StoreError> {
        let engine = self.clone();
        to_the_end(async move { engine.cancel_to_the_end(which).await }).await
    }

    async fn cancel_to_the_end(
        self: &Arc<Self>,
        Cancel { app, endpoint, msg, ordered, of_many }: Cancel,
    ) -> Result<bool, StoreError> {
        while ordered && self.in_flight(endpoint, msg) && !self.stopping() {
            if of_many {
                return Ok(false);
            }
            tokio::time::sleep(LOOK).await;
        }
        // Taken out before: what is in hand, nobody can start meanwhile. What was asked for goes back first, to be found.
        let scheduled = self.take_out(endpoint, msg, Trigger::Scheduled);
        if let Some(manual) = self.take_out(endpoint, msg, Trigger::Manual) {
            self.give_back((endpoint, msg, Trigger::Manual), manual.lease).await;
        }
        let cancelled = self.store.expunge(Expunge::Owed(app, endpoint, msg)).await;
        if let Some(work) = scheduled {
            self.give_back((endpoint, msg, Trigger::Scheduled), work.lease).await;
        }
        if cancelled == Ok(true) {
            // Claimed in between.
            self.stand_down(endpoint, msg).await;
        }
        if ordered || cancelled != Ok(true) {
            // The next of its key may go; what was taken out and is owed still, too.
            self.look(endpoint);
        }
        cancelled
    }

    /// Takes a cancelled delivery out of a lane's memory.
    pub(super) async fn stand_down(&self, endpoint: EndpointId, msg: MsgId) {
        for trigger in [Trigger::Scheduled, Trigger::Manual] {
            self.strike_out(endpoint, msg, trigger).await;
        }
    }

    /// Gives back an attempt that waits in a lane's memory, or that a claim under way brings.
    pub(super) async fn strike_out(&self, endpoint: EndpointId, msg: MsgId, trigger: Trigger) {
        let Some(lane) = self.lanes.get(endpoint) else { return };
        if let Some(work) = lane.strike(msg, trigger, &self.lanes.budget) {
            self.give_back((endpoint, msg, trigger), work.lease).await;
        }
    }

    /// Takes an attempt out of a lane's memory, if it waits there.
    pub(super) fn take_out(&self, endpoint: EndpointId, msg: MsgId, trigger: Trigger) -> Option<Work> {
        self.lanes.get(endpoint)?.withdraw(msg, trigger, &self.lanes.budget)
    }
}

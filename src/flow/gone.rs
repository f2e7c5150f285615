//! An endpoint that says that it is gone (410): its lane starts nothing from the answer on, and it is disabled before that
//! answer is recorded. Recording frees the next message of the key in strict order, and nobody is to get that.
//!
//! When the process ends in between, the endpoint is disabled and the delivery is owed still: it waits for who enables the endpoint.

use super::{
    Engine, health,
    record::{Made, STORE_PAUSE},
    retry::GONE,
};
use crate::{
    lanes::{Lane, Work},
    model::{DisabledBy, Outcome, Trigger},
    routing::Route,
    store::StoreError,
};
use std::sync::Arc;

/// An endpoint's lane stands still as long as this is there.
pub(super) struct Halt {
    engine: Arc<Engine>,
    lane: Arc<Lane>,
    /// Whether it has disabled the endpoint; `None`: that was not tried, or did not go.
    pub(super) disabled: Option<bool>,
}

impl Halt {
    /// Halts the lane if an attempt says that its endpoint is gone. What somebody tries out says nothing, and neither does an
    /// answer that comes when others may have had another one.
    pub(super) fn after(engine: &Arc<Engine>, (work, route): (&Work, &Route), outcome: &Outcome) -> Option<Halt> {
        let is_gone = outcome.status == Some(GONE) && !outcome.succeeded() && route.profile.disable_on_gone;
        if !is_gone || work.trigger == Trigger::Manual || !engine.store.stands(work.lease) {
            return None;
        }
        let lane = engine.lanes.open(work.endpoint);
        lane.halt();
        Some(Halt { engine: engine.clone(), lane, disabled: None })
    }
}

impl Drop for Halt {
    fn drop(&mut self) {
        self.lane.let_go();
        // What waits in memory goes back to the store, or goes on.
        self.engine.alarm(&self.lane, self.engine.clock.now());
    }
}

/// Disables the endpoints of these attempts; those that are to be recorded now. A store that is away or full takes neither: it
/// is asked again until the engine stops, and what was not taken by then is attempted again at the next start.
pub(super) async fn disable(engine: &Arc<Engine>, made: Vec<Made>) -> Vec<Made> {
    let mut to_record = Vec::with_capacity(made.len());
    for mut one in made {
        let disabled = match disable_one(engine, &one.route).await {
            Ok(disabled) => Some(disabled),
            Err(error) if is_away(&error) => continue,
            Err(error) => {
                tracing::error!(%error, endpoint = %one.route.id, "endpoint not disabled");
                None
            }
        };
        one.halt.iter_mut().for_each(|halt| halt.disabled = disabled);
        to_record.push(one);
    }
    to_record
}

/// Whether it was this that disabled it, as far as that is known.
async fn disable_one(engine: &Arc<Engine>, route: &Route) -> Result<bool, StoreError> {
    let mut asked = false;
    loop {
        match health::try_to_disable(engine, route, DisabledBy::Gone).await {
            Err(error) if is_away(&error) && !engine.stopping() => {
                tracing::error!(%error, endpoint = %route.id, "endpoint not disabled yet");
                asked = true;
                tokio::time::sleep(STORE_PAUSE).await;
            }
            // It may have been done, and not answered.
            Ok(false) if asked => {
                let now = engine.routing.endpoint(route.id);
                return Ok(now.is_some_and(|(_, route)| route.disabled == Some(DisabledBy::Gone)));
            }
            tried => return tried,
        }
    }
}

fn is_away(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_) | StoreError::Full | StoreError::Broken)
}

//! Alerts: rules on how endpoints do, looked at in rounds, and what they find told by e-mail and by operational messages.
//!
//! A rule's state is a record. A look at a rule ends by writing that record under the revision that was read before, in one
//! commit with the notice of what was found: of several processes one succeeds, and the others find that it was done. A
//! notice is a record too. Who sends it first claims it the same way, for [`CLAIM`]; a process that dies over it leaves it to
//! the next. So a letter may come twice (under the same message id), and never not at all.

mod look;
mod notice;
mod state;
mod words;

pub use words::trial;

use crate::{
    flow::Engine,
    mail::Mailer,
    model::{Address, Alert, AlertState, Condition, Kind, Notice, Record, Time},
    store::{Change, StoreError},
};
use std::{sync::Arc, time::Duration};

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(10);
/// After an alarm, how long others are waited for that fail at the same time.
const GATHER: Duration = Duration::from_secs(1);
/// Between two looks at the same rule, unless there is an alarm.
const LOOK_EVERY: Duration = Duration::from_secs(9);
/// How long a process may be over a notice before another takes it.
const CLAIM: Duration = Duration::from_secs(240);
/// Rules of one organization at most.
pub const MAX_ALERTS: usize = 100;

/// What notices are sent with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Letters. `None`: no mail server is configured.
    pub mailer: Option<Arc<Mailer>>,
    /// Where people reach the server, for links; without it there are none.
    pub public_url: Option<String>,
}

/// Watches until the engine stops.
pub async fn run(engine: Arc<Engine>, options: Options) {
    let mut alarmed = false;
    while !engine.stopping() {
        if let Err(error) = round(&engine, &options, alarmed).await
            && !engine.stopping()
        {
            tracing::error!(%error, "alerts are looked at again in the next round");
        }
        alarmed = tokio::select! {
            () = tokio::time::sleep(ROUND) => false,
            () = engine.trouble() => true,
            () = engine.stopped() => return,
        };
        if alarmed {
            tokio::time::sleep(GATHER).await;
        }
    }
}

/// Looks at every rule once, and sends what is to be told.
///
/// # Errors
/// The store's.
pub(crate) async fn round(engine: &Arc<Engine>, options: &Options, alarmed: bool) -> Result<(), StoreError> {
    let mut rules: Vec<Alert> = Vec::new();
    let mut collect = |stored: crate::store::Stored| {
        if let Record::Alert(rule) = stored.record {
            rules.push(*rule);
        }
    };
    engine.store.each(Kind::Alert, engine.clock.now(), &mut collect).await?;
    for rule in rules {
        let found = read(engine, &rule).await?;
        let state = match found {
            Some((state, revision)) if !rule.muted && (alarmed && is_quick(&rule) || state.look_at <= engine.clock.now()) => {
                look(engine, &rule, state, Some(revision)).await?
            }
            Some((state, _)) => state,
            None if rule.muted => continue,
            None => look(engine, &rule, fresh(&rule), None).await?,
        };
        if !state.open.is_empty() {
            // Apart: a mail server that does not answer keeps no other rule waiting.
            tokio::spawn(notice::send_all(engine.clone(), options.clone(), state));
        }
    }
    Ok(())
}

/// Whether a look takes nothing but memory, so that an alarm may ask for it at any time.
fn is_quick(rule: &Alert) -> bool {
    matches!(rule.condition, Condition::Failing { .. } | Condition::DisableSoon { .. } | Condition::Disabled)
}

fn fresh(rule: &Alert) -> AlertState {
    let none = Time(0);
    AlertState {
        org: rule.org,
        alert: rule.id,
        look_at: none,
        quiet_until: none,
        incidents: Vec::new(),
        unlisted: 0,
        open: Vec::new(),
    }
}

async fn read(engine: &Engine, rule: &Alert) -> Result<Option<(AlertState, u64)>, StoreError> {
    let found = engine.store.find(&Address::alert_state(rule.org, rule.id), engine.clock.now()).await?;
    Ok(found.and_then(|found| match found.record {
        Record::AlertState(state) => Some((*state, found.revision)),
        _ => None,
    }))
}

/// Looks for what a rule is about, and writes down what was found; the state as it is then.
async fn look(engine: &Arc<Engine>, rule: &Alert, before: AlertState, revision: Option<u64>) -> Result<AlertState, StoreError> {
    let now = engine.clock.now();
    let found = look::look(engine, rule, &before.incidents, now).await?;
    let mut state = before.clone();
    let cooldown = Duration::from_secs(u64::from(rule.cooldown_s));
    let told = state::step(&mut state, &found, |incident| look::ending(engine, rule, incident), (now, cooldown));
    state.look_at = now.plus(LOOK_EVERY);
    let notice = match told {
        Some(told) => Some(notice::compose(engine, rule, told, now).await?),
        None => None,
    };
    let open = notice::still_open(engine, &state).await?;
    state.open = open;
    state.open.extend(notice.as_ref().filter(|notice| notice.is_open()).map(|notice| notice.id));
    let mut changes = match revision {
        Some(revision) => vec![Change::Replace(Record::AlertState(Box::new(state.clone())), revision)],
        None => vec![Change::Insert(Record::AlertState(Box::new(state.clone())))],
    };
    changes.extend(notice.map(|notice: Notice| Change::Insert(Record::Notice(Box::new(notice)))));
    match engine.store.change(changes, now).await {
        Ok(()) => Ok(state),
        // Another process was first, or the rule was changed meanwhile.
        Err(StoreError::Stale | StoreError::Conflict(_)) => Ok(before),
        Err(error) => Err(error),
    }
}

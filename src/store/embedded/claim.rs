//! Claiming: leases what is due, oldest first, and loads it. Leases are in memory, so a claim writes nothing.

use super::lanes::{Held, Lane, Lanes};
use super::spaces::{Space, Spaces, failure};
use super::{keys, keys::Place, read};
use crate::model::{AppId, Delivery, EndpointId, Time, Trigger};
use crate::store::{Claimed, Claims, Lease, StoreError};
use parking_lot::Mutex;
use std::sync::Arc;

/// A queue entry that may be taken.
#[derive(Clone, Copy)]
struct Entry {
    place: Place,
    trigger: Trigger,
    app: AppId,
    /// Found by the scan; otherwise it is in the lane already, its lease having run out.
    scanned: bool,
    /// As in [`Held`].
    unqueued: bool,
}

/// What a claim is for.
#[derive(Clone, Copy)]
pub(super) struct Claim {
    pub(super) endpoint: EndpointId,
    pub(super) lease: Lease,
    pub(super) now: Time,
    pub(super) limit: usize,
}

/// Leases and loads.
pub(super) fn claim(spaces: &Spaces, lanes: &Mutex<Lanes>, claim: Claim) -> Result<Claims, StoreError> {
    let (entries, next_due) = lease(spaces, lanes, claim)?;
    let mut taken = Vec::with_capacity(entries.len());
    for entry in &entries {
        match load(spaces, claim, *entry) {
            Ok(claimed) => taken.extend(claimed),
            Err(error) => {
                let mut lanes = lanes.lock();
                let lane = lanes.lane(claim.endpoint);
                entries.iter().for_each(|entry| lane.give_back(entry.place.msg, entry.trigger));
                return Err(error);
            }
        }
    }
    Ok(Claims { taken, next_due })
}

/// `None`: the message was purged before its queue entries; the purge will come for them, and their leases, too.
fn load(spaces: &Spaces, claim: Claim, Entry { place, trigger, app, .. }: Entry) -> Result<Option<Claimed>, StoreError> {
    let Some(message) = read::message(spaces, app, place.msg)? else { return Ok(None) };
    let delivery = read::delivery_row(spaces, claim.endpoint, place.msg)?
        .unwrap_or_else(|| Delivery::fresh(app, place.msg, claim.endpoint, message.first_due()));
    Ok(Some(Claimed { delivery, trigger, message: Arc::new(message), lease: claim.lease }))
}

/// Leases under the lock, so that the entries read are those that the lanes know: a settled entry is deleted from the
/// database first and forgotten by its lane after.
fn lease(spaces: &Spaces, lanes: &Mutex<Lanes>, claim: Claim) -> Result<(Vec<Entry>, Option<Time>), StoreError> {
    let mut lanes = lanes.lock();
    let mut entries = run_out(spaces, &mut lanes, claim)?;
    let lane = lanes.lane(claim.endpoint);
    for trigger in [Trigger::Manual, Trigger::Scheduled] {
        scan(spaces, lane, trigger, claim, &mut entries)?;
    }
    entries.sort_unstable_by_key(|entry| (entry.place, entry.trigger));
    let due = entries.iter().take_while(|entry| entry.place.due <= claim.now).count();
    let left = entries.split_off(due.min(claim.limit));

    for trigger in [Trigger::Manual, Trigger::Scheduled] {
        *lane.cursor(trigger) = left.iter().find(|entry| entry.scanned && entry.trigger == trigger).map(|entry| entry.place);
    }
    for Entry { place, trigger, unqueued, .. } in entries.iter().copied() {
        lane.hold(place.msg, trigger, Held { lease: claim.lease, due: place.due, fresh: false, unqueued, settling: false });
    }
    Ok((entries, left.first().map(|entry| entry.place.due)))
}

/// Entries whose lease has run out. Some are no longer queued: a manual attempt settled the delivery meanwhile.
fn run_out(spaces: &Spaces, lanes: &mut Lanes, claim: Claim) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    for (trigger, place, unqueued) in lanes.lane(claim.endpoint).run_out(claim.now) {
        let app = match lanes.app_of(place.msg).filter(|_| unqueued) {
            Some(app) => Some(app),
            None => {
                spaces.get(Space::Queue, &keys::queue(claim.endpoint, trigger, place))?.map(|app| read_app(&app)).transpose()?
            }
        };
        match app {
            Some(app) => entries.push(Entry { place, trigger, app, scanned: false, unqueued }),
            None => lanes.lane(claim.endpoint).drop_held(place.msg, trigger),
        }
    }
    Ok(entries)
}

/// Adds what nobody holds from the cursor on: up to one more than the limit, or the first that is not due.
fn scan(spaces: &Spaces, lane: &mut Lane, trigger: Trigger, claim: Claim, into: &mut Vec<Entry>) -> Result<(), StoreError> {
    let Some(from) = *lane.cursor(trigger) else { return Ok(()) };
    let end = keys::queue(claim.endpoint, trigger, Place::LAST);
    let mut found = 0;
    for guard in spaces.of(Space::Queue).range(keys::queue(claim.endpoint, trigger, from)..=end) {
        let (key, app) = guard.into_inner().map_err(failure)?;
        let (_, _, place) = keys::read_queue(&key).ok_or_else(|| StoreError::Damaged("a queue key".into()))?;
        if lane.knows(place.msg, trigger) {
            continue;
        }
        into.push(Entry { place, trigger, app: read_app(&app)?, scanned: true, unqueued: false });
        found += 1;
        if found > claim.limit || place.due > claim.now {
            break;
        }
    }
    Ok(())
}

fn read_app(value: &[u8]) -> Result<AppId, StoreError> {
    AppId::from_bytes(value).ok_or_else(|| StoreError::Damaged("a queue entry".into()))
}

/// Endpoints with anything owed: those of open messages, and of the queue for each endpoint the first key, then on to the
/// next. An endpoint may come twice.
pub(super) fn queued_endpoints(spaces: &Spaces, lanes: &Mutex<Lanes>) -> Result<Vec<(EndpointId, Time)>, StoreError> {
    let mut found: Vec<_> = lanes.lock().unqueued_endpoints().collect();
    let mut from = Some(EndpointId(0));
    while let Some(endpoint) = from {
        let Some(guard) = spaces.of(Space::Queue).range(endpoint.bytes()..).next() else { break };
        let key = guard.key().map_err(failure)?;
        let (endpoint, _, place) = keys::read_queue(&key).ok_or_else(|| StoreError::Damaged("a queue key".into()))?;
        found.push((endpoint, place.due));
        from = endpoint.0.checked_add(1).map(EndpointId);
    }
    Ok(found)
}

//! The suite that judges every engine: what each verb promises, seen from outside.
//!
//! An engine gives a [`Harness`] and writes `conformance!(harness)` in a test module.

mod cancel;
mod flow;
mod order;
mod queue;
mod records;
mod transfer;
mod upkeep;

pub(crate) use cancel::*;
pub(crate) use flow::*;
pub(crate) use order::*;
pub(crate) use queue::*;
pub(crate) use records::*;
pub(crate) use transfer::*;
pub(crate) use upkeep::*;

use super::{Change, Lease, NewMessage, Settled, Settlement, Store, StoreError, Window};
use crate::model::{
    AppId, Attempt, AttemptId, Cause, Delivery, EndpointId, Message, MsgId, OrgId, Outcome, Time, Trigger, Verdict,
};
use bytes::Bytes;
use std::sync::Arc;

/// When the tests take place.
pub(crate) const NOW: Time = Time(1_800_000_000_000);
/// How long the tests' leases last, in milliseconds.
const LEASE_MS: u64 = 60_000;

/// Makes stores of one engine.
#[async_trait::async_trait]
pub(crate) trait Harness: Send + Sync {
    /// A store with nothing in it.
    async fn fresh(&self) -> Arc<dyn Store>;

    /// The same store after its process died and started again. Nobody else may hold `store`.
    async fn restart(&self, store: Arc<dyn Store>) -> Arc<dyn Store>;
}

macro_rules! conformance {
    ($harness:expr) => {
        $crate::store::conformance::conformance!($harness;
            insert_conflicts, replace_needs_the_revision, revisions_are_never_used_twice, expired_records_are_absent,
            aliases_follow_their_record, changes_are_all_or_nothing, lists_page_both_ways, each_visits_every_live_record,
            accepted_is_readable, event_ids_are_unique, one_event_id_wins_within_one_commit, an_answer_is_inserted_or_nothing_is,
            one_mark_wins_until_it_expires,
            messages_by_window, attempts_by_window, stats_follow_the_states, expunging_leaves_the_rest,
            a_claim_takes_what_is_due_in_order, a_claim_says_what_comes_next, racing_claims_share, a_held_delivery_is_not_claimed,
            a_released_delivery_is_claimed_again, a_lease_that_ran_out_is_lost, a_result_counts_once, a_retry_moves_the_delivery,
            a_crash_frees_the_claimed, a_crash_keeps_everything, manual_and_scheduled_merge, a_manual_success_ends_the_schedule,
            a_manual_attempt_adds_the_endpoint, once_queues_once, exhausted_start_anew, changes_ride_with_a_result, results_together_are_judged_apart,
            queued_endpoints_are_found, expiry_deletes, prune_spares_the_pending, an_erased_message_leaves_nothing, purge_leaves_nothing, a_closed_store_refuses,
            a_key_goes_one_at_a_time, the_order_is_that_of_acceptance, racing_accepts_have_one_head, order_survives_a_crash,
            a_lost_lease_passes_nothing_on,
            what_is_gone_is_not_waited_for, what_waits_is_owed,
            what_is_cancelled_is_owed_no_longer, a_cancelled_attempt_that_flies_is_recorded, cancelling_survives_a_crash,
            a_cancelled_head_lets_the_next_go,
        );
    };
    ($harness:expr; $($name:ident),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            $crate::store::conformance::$name(&$harness).await;
        }
    )*};
}
pub(crate) use conformance;

/// A store with one application, and the identifiers that a test makes.
struct World {
    store: Arc<dyn Store>,
    app: AppId,
    endpoint: EndpointId,
    made: u128,
}

impl World {
    async fn new(harness: &impl Harness) -> Self {
        World { store: harness.fresh().await, app: AppId(0xa0), endpoint: EndpointId(0xe0), made: 0 }
    }

    /// A message made at that time, to the one endpoint.
    fn message(&mut self, at: Time) -> Message {
        self.made += 1;
        Message {
            id: MsgId(MsgId::lowest_at(at).0 + self.made),
            app: self.app,
            org: OrgId(1),
            event_type: "invoice.paid".into(),
            event_id: None,
            channels: vec!["a".into()],
            tags: vec![],
            deliver_at: None,
            payload_expires_at: None,
            endpoints: vec![self.endpoint],
            payload: Bytes::from_static(b"{ \"a\":  1 }"),
            expunged: false,
            origin: None,
            ordering_key: None,
            ordered: Vec::new(),
        }
    }

    /// Accepts a message made at that time, left in the queue.
    async fn accepted(&mut self, at: Time) -> Message {
        let message = self.message(at);
        self.accept(&message, None).await.unwrap();
        message
    }

    async fn accept(&self, message: &Message, lease: Option<Lease>) -> Result<(), StoreError> {
        let leases = vec![lease; message.endpoints.len()];
        self.store.accept(NewMessage { message: Arc::new(message.clone()), leases, mark: None }).await
    }

    async fn claim(&self, token: u64, now: Time, limit: usize) -> super::Claims {
        self.store.claim(self.endpoint, lease(token, now), now, limit).await.unwrap()
    }

    fn attempt(&mut self, msg: MsgId, trigger: Trigger) -> Attempt {
        self.made += 1;
        Attempt {
            id: AttemptId(AttemptId::lowest_at(NOW).0 + self.made),
            msg,
            endpoint: self.endpoint,
            app: self.app,
            trigger,
            number: 1,
            url: "https://example.com/".into(),
            request_headers: [("webhook-id", msg.to_string().as_str())].into_iter().collect(),
            outcome: Outcome { body: Bytes::from_static(b"no"), ..Outcome::failed(Cause::BadStatus, "500") },
        }
    }

    fn settlement(&mut self, msg: MsgId, trigger: Trigger, lease: Lease, verdict: Verdict) -> Settlement {
        let attempt = (verdict != Verdict::Cancelled).then(|| self.attempt(msg, trigger));
        Settlement { msg, endpoint: self.endpoint, app: self.app, trigger, lease, verdict, attempt, order: None, changes: vec![] }
    }

    async fn settle(&mut self, msg: MsgId, trigger: Trigger, lease: Lease, verdict: Verdict) -> Settled {
        let settlement = self.settlement(msg, trigger, lease, verdict);
        settle_one(&*self.store, settlement).await.unwrap()
    }

    /// Settles, and gives the delivery.
    async fn recorded(&mut self, msg: MsgId, trigger: Trigger, lease: Lease, verdict: Verdict) -> Delivery {
        match self.settle(msg, trigger, lease, verdict).await {
            Settled::Recorded(delivery) => delivery,
            Settled::LeaseLost => panic!("the lease of {msg} is lost"),
        }
    }

    async fn delivery(&self, message: &Message) -> Delivery {
        self.store.delivery(message, self.endpoint).await.unwrap().unwrap()
    }

    async fn insert(&self, record: crate::model::Record) -> Result<(), StoreError> {
        self.store.change(vec![Change::Insert(record)], NOW).await
    }
}

/// Settles one result alone.
pub(crate) async fn settle_one(store: &dyn Store, settlement: Settlement) -> Result<Settled, StoreError> {
    store.settle(vec![settlement].into()).await.remove(0)
}

fn lease(token: u64, now: Time) -> Lease {
    Lease { token, until: after(now, LEASE_MS) }
}

fn after(time: Time, ms: u64) -> Time {
    Time(time.0 + ms)
}

fn all() -> Window {
    Window { above: 0, below: u128::MAX, newest_first: false, limit: 1000 }
}

fn msgs(claims: &super::Claims) -> Vec<MsgId> {
    claims.taken.iter().map(|claimed| claimed.delivery.msg).collect()
}

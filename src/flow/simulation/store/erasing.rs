//! What deletes.

use super::state::State;
use crate::{
    model::{AppId, Delivery, DeliveryState, EndpointId, Message, MsgId, Time, Trigger},
    store::Expunge,
};
use bytes::Bytes;
use std::sync::Arc;

fn empty(message: &mut Arc<Message>) {
    let message = Arc::make_mut(message);
    (message.payload, message.expunged) = (Bytes::new(), true);
}

impl State {
    pub(super) fn expunge(&mut self, what: &Expunge, now: Time) -> bool {
        match what {
            Expunge::Payload(app, msg) => self.messages.get_mut(&(*app, *msg)).map(empty).is_some(),
            Expunge::Message(app, msg) => self.erase((*app, *msg), now),
            Expunge::Owed(app, endpoint, msg) => self.cancel((*app, *endpoint, *msg), now),
            Expunge::AnswerBody(endpoint, attempt) => {
                let attempt = self.attempts.get_mut(&(*endpoint, *attempt));
                attempt.map(|attempt| Arc::make_mut(attempt).outcome.body = Bytes::new()).is_some()
            }
        }
    }

    fn cancel(&mut self, (app, endpoint, msg): (AppId, EndpointId, MsgId), now: Time) -> bool {
        let Some(message) = self.messages.get(&(app, msg)).filter(|message| message.endpoints.contains(&endpoint)).cloned() else {
            return false;
        };
        let fresh = Delivery::fresh(app, msg, endpoint, message.first_due());
        let row = self.deliveries.entry((endpoint, msg)).or_insert(fresh);
        let pends = matches!(row.state, DeliveryState::Pending(_));
        if pends {
            row.state = DeliveryState::Cancelled;
            self.queue.retain(|(e, m, _), owed| (*e, *m) != (endpoint, msg) || owed.lease.is_some());
            if let Some(owed) = self.queue.get_mut(&(endpoint, msg, Trigger::Scheduled)) {
                owed.over = Some(u64::MAX);
            }
            message.order(endpoint).into_iter().for_each(|key| self.pass_on((endpoint, key), now));
        }
        pends
    }

    fn erase(&mut self, (app, msg): (AppId, MsgId), now: Time) -> bool {
        let gone = self.messages.remove(&(app, msg));
        if let Some(message) = &gone {
            self.queue.retain(|(_, other, _), _| *other != msg);
            self.deliveries.retain(|(_, other), _| *other != msg);
            self.attempts.retain(|_, attempt| attempt.msg != msg);
            message.ordered.iter().for_each(|place| self.pass_on(*place, now));
        }
        gone.is_some()
    }

    /// The messages whose payloads are deleted, and how many records.
    pub(super) fn expire(&mut self, now: Time, limit: usize) -> (Vec<Arc<Message>>, usize) {
        let is_over = |message: &Message| !message.expunged && message.payload_expires_at.is_some_and(|at| at <= now);
        let mut over = Vec::new();
        for message in self.messages.values_mut().filter(|message| is_over(message)).take(limit) {
            empty(message);
            over.push(message.clone());
        }
        let records = self.records.expire(now, limit - over.len());
        (over, records)
    }

    pub(super) fn prune(&mut self, app: AppId, cutoff: Time, limit: usize) -> Vec<MsgId> {
        let old = self.messages.range((app, MsgId(0))..(app, MsgId::lowest_at(cutoff))).map(|((_, msg), _)| *msg);
        let is_settled = |msg: &MsgId| {
            let owed = self.queue.keys().any(|(_, other, _)| other == msg);
            let pends =
                self.deliveries.iter().any(|((_, other), row)| other == msg && matches!(row.state, DeliveryState::Pending(_)));
            !owed && !pends
        };
        let settled: Vec<MsgId> = old.filter(is_settled).take(limit).collect();
        for msg in &settled {
            self.erase((app, *msg), cutoff);
        }
        settled
    }

    pub(super) fn purge(&mut self, app: AppId, endpoint: Option<EndpointId>, limit: usize) -> usize {
        let mut left = limit;
        let mut take = |matches: bool| {
            let goes = matches && left > 0;
            left -= usize::from(goes);
            !goes
        };
        match endpoint {
            Some(endpoint) => {
                self.queue.retain(|(other, ..), _| take(*other == endpoint));
                self.deliveries.retain(|(other, _), _| take(*other == endpoint));
                self.attempts.retain(|(other, _), _| take(*other == endpoint));
            }
            None => self.messages.retain(|(other, _), _| take(*other == app)),
        }
        limit - left
    }
}

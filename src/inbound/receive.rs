//! Receiving, the spine: find the source → admit → handshake → verify → deduplicate → record durably → answer → route.

use super::{Arrival, Compiled, Head, Inbound, Reason, Room, State, event, handshake::Stop, linger::linger};
use crate::{
    flow::{Draft, Mark},
    model::{Kind, Message, Time},
    store::{Conflict, StoreError},
};
use bytes::Bytes;
use futures_util::future::join_all;
use hyper::body::Body;
use postrider_signature::Reply;
use std::sync::Arc;

/// What came of a request.
#[derive(Debug)]
pub enum Received {
    /// Its events are durable, now or since before.
    Recorded(Recorded),
    /// It was a handshake; what to answer.
    Shaken(Reply),
    /// It is refused.
    Refused(Reason),
    /// We broke; the sender may try again.
    Failed(StoreError),
    /// No source has this token.
    Unknown,
}

/// What was recorded.
#[derive(Debug)]
pub struct Recorded {
    /// The source, whose answer the sender gets.
    pub source: Arc<Compiled>,
    /// The messages that were made.
    pub messages: Vec<Arc<Message>>,
    /// Events that the source has had before.
    pub duplicates: usize,
}

impl Inbound {
    /// Receives a request at the URL with this token. What is left of a refused one's body is read in the background.
    pub async fn answer<B>(&self, token: &str, head: Head, body: B) -> Received
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        match self.sources.by_token(token, self.engine.clock.now()) {
            Some(source) => self.answer_for(&source, head, body).await,
            None => {
                linger(&head.headers, body);
                Received::Unknown
            }
        }
    }

    /// Receives a request for a source that is known by other means than a token.
    pub async fn answer_for<B>(&self, source: &Arc<Compiled>, head: Head, mut body: B) -> Received
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let mut room = Room::new(&source.state.memory, &source.state.of_application, &self.memory);
        match source.admit(head, &mut body, &mut room).await {
            Ok(arrival) => self.receive(source, &arrival).await,
            Err(turned) => {
                let (head, read, reason) = *turned;
                linger(&head.headers, body);
                self.refuse(source, &head, &read, reason).await
            }
        }
    }

    /// Receives a whole request for a source.
    pub async fn receive(&self, source: &Arc<Compiled>, arrival: &Arrival) -> Received {
        match self.judge_and_record(source, arrival, self.engine.clock.now()).await {
            Ok(received) => received,
            Err(Stop::Refused(reason)) => self.refuse(source, &arrival.head, &arrival.body, reason).await,
            Err(Stop::Failed(error)) => Received::Failed(error),
        }
    }

    async fn judge_and_record(&self, source: &Arc<Compiled>, arrival: &Arrival, now: Time) -> Result<Received, Stop> {
        let fields = arrival.head.fields();
        let request = arrival.request(&fields);
        if let Some(shaken) = self.shake(source, (&request, &arrival.head), now).await? {
            return Ok(shaken);
        }
        source.takes_events(&arrival.head.method)?;
        let verified = source.verify(&request, self.engine.clock.wall()).map_err(Reason::Signature)?;
        let drafts = event::drafts(source, arrival, verified, now)?;
        let recorded = self.record(source, drafts).await?;
        State::count(&source.state.received);
        Ok(Received::Recorded(recorded))
    }

    /// Makes the drafts durable, all at the same time, and starts their deliveries. One that collides with its mark has been
    /// received before. When one fails the request fails, and its repetition finds the others as duplicates.
    async fn record(&self, source: &Arc<Compiled>, drafts: Vec<(Draft, Option<Mark>)>) -> Result<Recorded, StoreError> {
        let gone = || StoreError::Unavailable("the source's application is gone".to_owned());
        let app = self.engine.routing.by_id(source.source.app).ok_or_else(gone)?;
        let mut recorded = Recorded { source: source.clone(), messages: Vec::with_capacity(drafts.len()), duplicates: 0 };
        for accepted in join_all(drafts.into_iter().map(|(draft, mark)| self.engine.accept(&app, draft, mark))).await {
            match accepted {
                Ok(message) => recorded.messages.push(message),
                Err(StoreError::Conflict(Conflict::Record(Kind::Seen))) => {
                    recorded.duplicates += 1;
                }
                Err(error) => return Err(error),
            }
        }
        if recorded.duplicates > 0 {
            self.duplicates.note(source.source.id, recorded.duplicates, self.engine.clock.now());
        }
        Ok(recorded)
    }

    async fn refuse(&self, source: &Compiled, head: &Head, body: &Bytes, reason: Reason) -> Received {
        match reason {
            // Who is many would have many recorded, at the worst moment.
            Reason::Busy => [&source.state.rejected, &source.state.unrecorded].into_iter().for_each(State::count),
            _ => self.rejections.record(source, head, body, &reason).await,
        }
        Received::Refused(reason)
    }
}

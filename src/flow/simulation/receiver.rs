//! Model receivers: each endpoint behaves in its way, drawn from the seed.

use super::{dice::Dice, referee::Referee, store::Node};
use crate::{
    clock::Clock,
    model::{Cause, EndpointId, MsgId},
    outbound::{
        OutboundRequest,
        model::{ModelReceiver, Reply},
    },
};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};
use tokio::time::sleep;

/// Longer than any deadline.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// How a receiver behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Takes everything, within so many milliseconds.
    Good(u64),
    /// Takes everything; its body takes so many milliseconds.
    SlowBody(u64),
    /// Answers with that status.
    Refuses(u16),
    /// Asks to come back after so many seconds, with that status.
    Busy(u16, u32),
    /// Does not answer.
    Hangs,
    /// Ends the connection.
    Resets,
    /// Nobody listens.
    Absent,
    /// Begins an answer whose body breaks off.
    CutsBody,
    /// Begins an answer whose body does not end.
    EndlessBody,
    /// Good for so many seconds, then bad for as many, and so on.
    Flaps(u64),
    /// Takes one or not, after some seconds.
    Wavers,
    /// Anything of the above, each time.
    Mixed,
}

impl Manner {
    /// Whether it takes everything, and soon.
    pub(super) fn is_good(self) -> bool {
        matches!(self, Manner::Good(_))
    }

    fn fault(self) -> Option<&'static str> {
        match self {
            Manner::Good(_) | Manner::Flaps(_) | Manner::Wavers | Manner::Mixed => None,
            Manner::SlowBody(_) => Some("slow bodies"),
            Manner::Refuses(410) => Some("answers 410"),
            Manner::Refuses(_) => Some("answers 4xx and 5xx"),
            Manner::Busy(..) => Some("answers 429 and 503 with Retry-After"),
            Manner::Hangs => Some("no answer before the deadline"),
            Manner::Resets => Some("resets"),
            Manner::Absent => Some("connections refused"),
            Manner::CutsBody => Some("bodies cut short"),
            Manner::EndlessBody => Some("bodies without an end"),
        }
    }
}

/// The manners of all endpoints.
#[derive(Default)]
pub(super) struct Manners(pub(super) Mutex<BTreeMap<EndpointId, Manner>>);

/// All receivers, as one node reaches them.
pub(super) struct Receivers {
    pub(super) referee: Arc<Referee>,
    pub(super) manners: Arc<Manners>,
    pub(super) node: Arc<Node>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) dice: Mutex<Dice>,
}

impl Receivers {
    fn manner(&self, endpoint: EndpointId) -> Manner {
        let manner = self.manners.0.lock().get(&endpoint).copied().unwrap_or(Manner::Good(10));
        match manner {
            Manner::Flaps(seconds) if (self.clock.now().seconds() / seconds.max(1)).is_multiple_of(2) => Manner::Good(20),
            Manner::Flaps(_) => self.dice.lock().one(&[Manner::Refuses(500), Manner::Resets]),
            Manner::Mixed => self.dice.lock().one(&[
                Manner::Good(50),
                Manner::Good(5),
                Manner::SlowBody(400),
                Manner::Refuses(500),
                Manner::Busy(429, 7),
                Manner::Hangs,
                Manner::Resets,
                Manner::CutsBody,
            ]),
            manner => manner,
        }
    }
}

#[async_trait::async_trait]
impl ModelReceiver for Receivers {
    async fn receive(&self, url: String, request: &OutboundRequest) -> Reply {
        if self.node.dead.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        let endpoint = EndpointId(url.rsplit('/').next().and_then(|id| id.parse().ok()).unwrap());
        let msg: MsgId = request.headers["webhook-id"].to_str().unwrap().parse().unwrap();
        if request.body.is_empty() {
            self.referee.seen.lock().blame(format!("lost: {msg} came to {endpoint} without its payload"));
        }
        let (place, running) = self.referee.begins(self.node.number(), (endpoint, msg), self.clock.now());
        let manner = self.manner(endpoint);
        manner.fault().into_iter().for_each(|fault| self.node.shared.count(fault));
        let thinks = match manner {
            Manner::Good(most) => self.dice.lock().millis(0, most),
            Manner::Hangs => FOR_EVER,
            Manner::Wavers => self.dice.lock().millis(0, 4000),
            _ => self.dice.lock().millis(0, 30),
        };
        sleep(thinks).await;
        let (head, body, whole) = match manner {
            Manner::Wavers if self.dice.lock().permille(500) => (Ok((500, None)), Duration::ZERO, true),
            Manner::SlowBody(ms) => (Ok((200, None)), Duration::from_millis(ms), true),
            Manner::Refuses(status) => (Ok((status, None)), Duration::ZERO, true),
            Manner::Busy(status, seconds) => (Ok((status, Some(seconds))), Duration::ZERO, true),
            Manner::Resets => (Err(Cause::Disconnected), Duration::ZERO, true),
            Manner::Absent => (Err(Cause::ConnectionRefused), Duration::ZERO, true),
            Manner::CutsBody => (Ok((200, None)), Duration::from_millis(50), false),
            Manner::EndlessBody => (Ok((200, None)), FOR_EVER, false),
            _ => (Ok((204, None)), Duration::ZERO, true),
        };
        if matches!(manner, Manner::Refuses(410)) {
            self.referee.ends(place);
        }
        if whole && matches!(head, Ok((200..300, _))) {
            self.referee.takes(place);
        }
        Reply { head, body, whole, guard: Box::new(running) }
    }
}

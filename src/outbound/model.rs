//! A receiver that is a model: it answers in place of the network, under the same deadline and with the same reading of what
//! it says. For tests under a virtual clock.

use super::{
    Outbound, OutboundConfig, OutboundRequest, SystemResolver, Target,
    answer::Answer,
    dial::Dialer,
    failure::Failure,
    pool::{Limits, Pool},
    send::{Phase, Progress, micros},
};
use crate::{clock::Clock, model::Cause};
use http::StatusCode;
use std::{
    any::Any,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Answers requests.
#[async_trait::async_trait]
pub(crate) trait ModelReceiver: Send + Sync {
    /// Takes a request; the answer's headers are there when it returns. Dropped when the deadline passes.
    async fn receive(&self, url: String, request: &OutboundRequest) -> Reply;
}

/// What a model answers.
pub(crate) struct Reply {
    /// The head of the answer, or how the connection ends without one.
    pub(crate) head: Result<(u16, Option<u32>), Cause>,
    /// How long the body takes.
    pub(crate) body: Duration,
    /// Whether the body comes to its end.
    pub(crate) whole: bool,
    /// Dropped when the try is over.
    pub(crate) guard: Box<dyn Any + Send>,
}

impl Outbound {
    /// A client whose requests go to a model.
    pub(crate) fn to_model(clock: Arc<dyn Clock>, model: Arc<dyn ModelReceiver>) -> Self {
        static DIALER: OnceLock<Dialer> = OnceLock::new();
        let make = || Dialer::new(OutboundConfig::default(), Arc::new(SystemResolver::new().unwrap())).unwrap();
        let limits = Limits { idle_per_origin: 0, idle_total: 0, idle_timeout: Duration::ZERO };
        Outbound { dialer: DIALER.get_or_init(make).clone(), pool: Arc::new(Pool::new(limits)), clock, model: Some(model) }
    }

    pub(super) async fn ask_model(
        &self,
        model: &dyn ModelReceiver,
        target: &Target,
        request: &OutboundRequest,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        progress.phase = Phase::Headers;
        let begun = Instant::now();
        let Reply { head, body, whole, guard } = model.receive(target.url(), request).await;
        let (status, retry_after) = head.map_err(|cause| Failure::new(cause, ""))?;
        progress.phases.first_byte_us = micros(begun);
        progress.phase = Phase::Body;
        let seconds = retry_after.map(|seconds| seconds.to_string());
        let headers = seconds.iter().map(|seconds| ("retry-after", seconds.as_bytes()));
        progress.answer = Some(Answer::new(StatusCode::from_u16(status).unwrap(), headers, &*self.clock));
        if !body.is_zero() {
            sleep(body).await;
        }
        drop(guard);
        if whole { Ok(()) } else { Err(Failure::new(Cause::Disconnected, "")) }
    }
}

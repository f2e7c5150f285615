//! Handshakes: requests by which a sender asks whether the receiver is who it should be, or gives it the secret. They are
//! answered, and are no events.

use super::{Compiled, Head, Inbound, Reason, Received, SECRET_PURPOSE};
use crate::{
    model::{Address, Record, Secret, Time},
    store::{Change, StoreError, Stored},
};
use postrider_signature::{Request, Shake, handshake};
use std::sync::Arc;

/// Why there is no answer of the source's own.
#[derive(Debug)]
pub(super) enum Stop {
    /// The request is refused.
    Refused(Reason),
    /// We broke.
    Failed(StoreError),
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Self {
        Stop::Refused(reason)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Failed(error)
    }
}

impl Inbound {
    /// Answers a handshake. `None`: the request is none, but an event.
    ///
    /// # Errors
    /// It is refused, or what it asks for cannot be done now.
    pub(super) async fn shake(
        &self,
        source: &Arc<Compiled>,
        (request, head): (&Request<'_>, &Head),
        now: Time,
    ) -> Result<Option<Received>, Stop> {
        let Some(kind) = source.provider().and_then(|provider| provider.handshake) else { return Ok(None) };
        let shaken = |reply| Ok(Some(Received::Shaken(reply)));
        match handshake(kind, request, &source.secrets(now), &source.settings, source.source.awaits_secret) {
            Shake::NotOne => Ok(None),
            Shake::Reply(_) if !source.state.shakes.pass(now) => Err(Reason::TooOften.into()),
            Shake::Reply(reply) => shaken(reply),
            Shake::Refuse(reply) => Err(Reason::Handshake(reply).into()),
            Shake::ReplyIfVerified(reply) => {
                source.verify(request, self.engine.clock.wall()).map_err(Reason::Signature)?;
                shaken(reply)
            }
            Shake::SetSecret { secret, reply } => {
                self.take_secret(source, &secret).await?;
                shaken(reply)
            }
            Shake::Confirm { url, reply } => {
                source.verify(request, self.engine.clock.wall()).map_err(Reason::Signature)?;
                self.confirmations.begin(source.clone(), head.clone(), url);
                shaken(reply)
            }
        }
    }

    /// Makes a secret that the sender has chosen the source's own. The first one wins, and only while the source awaits it.
    async fn take_secret(&self, source: &Compiled, secret: &str) -> Result<(), Stop> {
        let (engine, now) = (&self.engine, self.engine.clock.now());
        source.rules.verifier(&[secret], &source.settings).map_err(Reason::Signature)?;
        let address = Address::source(source.source.org, source.source.id);
        let Some(Stored { record: Record::Source(mut record), revision }) = engine.store.find(&address, now).await? else {
            return Err(Reason::Secret.into());
        };
        if !record.awaits_secret {
            return Err(Reason::Secret.into());
        }
        let sealed = engine.vault.seal(&engine.random, SECRET_PURPOSE, secret.as_bytes());
        let sealed = sealed.map_err(|error| StoreError::Damaged(error.to_string()))?;
        record.secrets = vec![Secret { sealed, created_at: now, expires_at: None }];
        record.awaits_secret = false;
        record.updated_at = now;
        match engine.change(vec![Change::Replace(Record::Source(record), revision)]).await {
            Err(StoreError::Stale) => Err(Reason::Secret.into()),
            changed => Ok(changed?),
        }
    }
}

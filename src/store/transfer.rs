//! Carrying everything from one store into another: what a store gives whole, and what it takes in as it is.
//!
//! Apart from [`Store`], because no server calls it: both stores are out of use meanwhile. The unit is a message with all
//! that hangs on it, taken in wholly or not at all, and once: a message that is there already is passed over, so that a
//! transfer which was cut short can be begun anew.

use super::{Store, StoreError};
use crate::model::{AppId, Attempt, Delivery, EndpointId, Message, MsgId, Time, Trigger};
use serde::{Deserialize, Serialize};

/// Which message: transfers go in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessagePlace {
    /// Its application.
    pub app: AppId,
    /// The message.
    pub msg: MsgId,
}

/// An attempt that is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owed {
    /// To this endpoint.
    pub endpoint: EndpointId,
    /// What starts it.
    pub trigger: Trigger,
    /// When it is due; zero for one that somebody asked for.
    pub due: Time,
}

/// A message with all that hangs on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// The message.
    pub message: Message,
    /// Its deliveries that were attempted, in the order of their endpoints.
    pub deliveries: Vec<Delivery>,
    /// Their attempts, in the order of the deliveries and of themselves.
    pub attempts: Vec<Attempt>,
    /// What is owed of it, in order.
    pub owed: Vec<Owed>,
}

impl Bundle {
    /// Its message's place.
    #[must_use]
    pub fn place(&self) -> MessagePlace {
        MessagePlace { app: self.message.app, msg: self.message.id }
    }
}

/// A store that can be carried elsewhere, or be made of another.
#[async_trait::async_trait]
pub trait Transfer: Store {
    /// The note about a transfer that the store keeps: while it has one, no server uses it.
    async fn note(&self) -> Result<Option<String>, StoreError>;

    /// Writes the note, or takes it away.
    async fn set_note(&self, note: Option<&str>) -> Result<(), StoreError>;

    /// How many servers use it now, as far as it knows.
    async fn servers(&self) -> Result<u64, StoreError>;

    /// All that is owed, in the order of the messages.
    async fn owed(&self) -> Result<Vec<(MessagePlace, Owed)>, StoreError>;

    /// Messages after a place, in order.
    async fn places(&self, after: Option<MessagePlace>, limit: usize) -> Result<Vec<MessagePlace>, StoreError>;

    /// These messages with what hangs on them, but for what is owed; those that are not there are left out.
    async fn bundles(&self, places: &[MessagePlace]) -> Result<Vec<Bundle>, StoreError>;

    /// Takes messages in as they are, durably.
    async fn take_in(&self, bundles: Vec<Bundle>) -> Result<(), StoreError>;
}

//! Connections: each made when it is needed and again when it is lost. Statements of several callers go over one
//! connection one after the other without waiting for each other's answers, and each is a transaction of its own, so
//! that nothing is kept in a session and a pooler may stand between.

use super::tls::Tls;
use crate::store::{Conflict, StoreError};
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::{Instant, timeout};
use tokio_postgres::{
    AsyncMessage, Client, Config, Row,
    error::SqlState,
    types::{ToSql, Type},
};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a statement may take: one that is lost on its way must not hold its callers for ever.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// After a connection could not be made, callers are refused for so long without another try.
const REFUSE_FOR: Duration = Duration::from_millis(250);
/// Tries of a transaction that others were in the way of.
const TRIES: usize = 5;

/// A statement's parameters, each with its type.
pub(super) type Params<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

/// Where the database is, and how to talk to it.
pub(super) struct Place {
    pub(super) config: Config,
    pub(super) tls: Tls,
}

impl Place {
    /// A new connection; what the server says unasked goes to `heard`.
    pub(super) async fn connect(&self, heard: impl Fn(AsyncMessage) + Send + 'static) -> Result<Client, StoreError> {
        let connected = timeout(CONNECT_TIMEOUT, self.config.connect(self.tls.clone())).await;
        let (client, mut connection) = match connected {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Err(failure(&error)),
            Err(_) => return Err(StoreError::Unavailable("the database does not take connections".into())),
        };
        tokio::spawn(async move {
            while let Some(message) = std::future::poll_fn(|context| connection.poll_message(context)).await {
                match message {
                    Ok(message) => heard(message),
                    Err(error) => return tracing::debug!(%error, "a database connection has ended"),
                }
            }
        });
        Ok(client)
    }
}

/// One connection.
#[derive(Default)]
struct Link {
    client: Mutex<Option<Arc<Client>>>,
    connecting: tokio::sync::Mutex<Option<(Instant, StoreError)>>,
}

/// Connections that share a kind of work.
pub(super) struct Links {
    place: Arc<Place>,
    closed: Arc<AtomicBool>,
    links: Vec<Link>,
    next: AtomicUsize,
}

impl Links {
    pub(super) fn new(place: Arc<Place>, closed: Arc<AtomicBool>, count: usize) -> Self {
        let links = std::iter::repeat_with(Link::default).take(count).collect();
        Links { place, closed, links, next: AtomicUsize::new(0) }
    }

    /// Runs a statement that may be run twice: once more when the connection is lost under it.
    pub(super) async fn read(&self, statement: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        match self.run(statement, params).await {
            Err(StoreError::Unavailable(_)) if !self.closed.load(Relaxed) => self.run(statement, params).await,
            result => result,
        }
    }

    /// Runs a statement as one transaction; again when others were in its way. When the connection is lost, nobody knows
    /// whether it was done.
    pub(super) async fn run(&self, statement: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        let mut tries = TRIES;
        loop {
            let client = self.client().await?;
            let answered = timeout(ANSWER_TIMEOUT, client.query_typed(statement, params)).await;
            match answered {
                Ok(Ok(rows)) => return Ok(rows),
                Ok(Err(error)) if tries > 1 && was_in_the_way(&error) => tries -= 1,
                Ok(Err(error)) => return Err(failure(&error)),
                Err(_) => {
                    self.drop_client(&client);
                    return Err(StoreError::Unavailable("the database does not answer".into()));
                }
            }
        }
    }

    /// Forgets all connections; what runs on them ends.
    pub(super) fn forget(&self) {
        self.links.iter().for_each(|link| drop(link.client.lock().take()));
    }

    async fn client(&self) -> Result<Arc<Client>, StoreError> {
        if self.closed.load(Relaxed) {
            return Err(StoreError::Unavailable("the store is closed".into()));
        }
        let at = self.next.fetch_add(1, Relaxed) % self.links.len().max(1);
        let link = self.links.get(at).ok_or_else(|| StoreError::Unavailable("no connection".into()))?;
        if let Some(client) = link.live() {
            return Ok(client);
        }
        let mut refused = link.connecting.lock().await;
        if let Some(client) = link.live() {
            return Ok(client);
        }
        if let Some((at, error)) = refused.as_ref().filter(|(at, _)| at.elapsed() < REFUSE_FOR) {
            let _ = at;
            return Err(error.clone());
        }
        match self.place.connect(|_| {}).await {
            Ok(client) => {
                let client = Arc::new(client);
                *link.client.lock() = Some(client.clone());
                *refused = None;
                Ok(client)
            }
            Err(error) => {
                *refused = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    fn drop_client(&self, client: &Arc<Client>) {
        for link in &self.links {
            let mut held = link.client.lock();
            if held.as_ref().is_some_and(|held| Arc::ptr_eq(held, client)) {
                *held = None;
            }
        }
    }
}

impl Link {
    fn live(&self) -> Option<Arc<Client>> {
        self.client.lock().as_ref().filter(|client| !client.is_closed()).cloned()
    }
}

/// Whether another transaction was in the way, so that this one is undone and can be run again.
fn was_in_the_way(error: &tokio_postgres::Error) -> bool {
    matches!(error.code(), Some(&SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE))
}

/// What an error of the database means here.
pub(super) fn failure(error: &tokio_postgres::Error) -> StoreError {
    let Some(told) = error.as_db_error() else { return StoreError::Unavailable(chain(error)) };
    let code = told.code().code();
    let text = || format!("{} ({code})", told.message());
    match code {
        "PR002" => StoreError::Stale,
        "PR001" => match told.detail().and_then(|kind| kind.parse().ok()).and_then(super::wire::kind_of) {
            Some(kind) => StoreError::Conflict(Conflict::Record(kind)),
            None => StoreError::Damaged(text()),
        },
        "53100" => StoreError::Full,
        // Data that does not fit its type or a constraint, and statements that are wrong: trying again does not help.
        _ if ["22", "23", "42", "XX"].iter().any(|class| code.starts_with(class)) => StoreError::Damaged(text()),
        _ => StoreError::Unavailable(text()),
    }
}

fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

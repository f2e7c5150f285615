//! Connections: each made when it is needed and again when it is lost. Statements of several callers go over one
//! connection one after the other without waiting for each other's answers, and each is a transaction of its own, so
//! that nothing is kept in a session and a pooler may stand between.

use super::tls::{Secured, Tls};
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
    AsyncMessage, Client, Config, Connection, Row, Socket,
    error::SqlState,
    types::{ToSql, Type},
};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// After a connection could not be made, callers are refused for so long without another try.
const REFUSE_FOR: Duration = Duration::from_millis(250);
/// Tries of a transaction that others were in the way of.
const TRIES: usize = 5;

/// A statement's parameters, each with its type.
pub(super) type Params<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

/// Where the database is, and how to talk to it.
pub(super) struct Place {
    /// For everything but notifications; a pooler may stand here.
    pub(super) hosts: Hosts,
    /// The servers themselves.
    pub(super) direct: Hosts,
    pub(super) tls: Tls,
}

/// Hosts of which one takes writes.
pub(super) struct Hosts {
    configs: Vec<Config>,
    /// The one that did last.
    last: AtomicUsize,
}

impl Hosts {
    pub(super) fn of(configs: &[Config]) -> Self {
        Hosts { configs: configs.to_vec(), last: AtomicUsize::new(0) }
    }

    /// A new connection to the host that takes writes; what the server says unasked goes to `heard`. Each host gets its own
    /// time to answer.
    pub(super) async fn connect(&self, tls: &Tls, heard: impl Fn(AsyncMessage) + Send + 'static) -> Result<Client, StoreError> {
        let first = self.last.load(Relaxed);
        let mut failed = StoreError::Unavailable("the database has no host".into());
        for (at, config) in self.configs.iter().enumerate().cycle().skip(first).take(self.configs.len()) {
            match timeout(CONNECT_TIMEOUT, config.connect(tls.clone())).await {
                Ok(Ok((client, connection))) => {
                    self.last.store(at, Relaxed);
                    tokio::spawn(drive(connection, heard));
                    return Ok(client);
                }
                Ok(Err(error)) => failed = failure(&error),
                Err(_) => failed = StoreError::Unavailable("the database does not take connections".into()),
            }
        }
        Err(failed)
    }
}

impl Place {
    /// A new connection.
    pub(super) async fn connect(&self) -> Result<Client, StoreError> {
        self.hosts.connect(&self.tls, |_| {}).await
    }

    /// A new connection to the server itself, which passes on what it says unasked.
    pub(super) async fn listen(&self, heard: impl Fn(AsyncMessage) + Send + 'static) -> Result<Client, StoreError> {
        self.direct.connect(&self.tls, heard).await
    }
}

/// Reads and writes until the connection ends.
async fn drive(mut connection: Connection<Socket, Secured<Socket>>, heard: impl Fn(AsyncMessage)) {
    while let Some(message) = std::future::poll_fn(|context| connection.poll_message(context)).await {
        match message {
            Ok(message) => heard(message),
            Err(error) => return tracing::debug!(%error, "a database connection has ended"),
        }
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
    patience: Duration,
}

impl Links {
    /// So many, made when needed; an answer may take as long as the patience.
    pub(super) fn new(place: Arc<Place>, closed: Arc<AtomicBool>, (count, patience): (usize, Duration)) -> Self {
        let links = std::iter::repeat_with(Link::default).take(count).collect();
        Links { place, closed, links, next: AtomicUsize::new(0), patience }
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
            let answered = timeout(self.patience, client.query_typed(statement, params)).await;
            match answered {
                Ok(Ok(rows)) => return Ok(rows),
                Ok(Err(error)) if tries > 1 && was_in_the_way(&error) => tries -= 1,
                Ok(Err(error)) => return Err(failure(&error)),
                Err(_) => {
                    self.drop_client(&client);
                    // Else it goes on there with its locks held, and whoever tries again waits for those.
                    let (token, tls) = (client.cancel_token(), self.place.tls.clone());
                    tokio::spawn(async move { timeout(CONNECT_TIMEOUT, token.cancel_query(tls)).await });
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
        match self.place.connect().await {
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

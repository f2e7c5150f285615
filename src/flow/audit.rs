//! Auditing: every change of configuration that somebody asked for leaves an entry, in the same commit. The request's
//! actor is known to the task that answers it; what the engine changes by itself (a failing endpoint that it disables) is
//! told by operational messages and leaves no entry.

use crate::{
    model::{Address, AppId, AuditAction, AuditActor, AuditEntry, AuditId, AuditUser, KeyId, Kind, OrgId, Record, Time, User},
    random::Random,
    store::{Change, Store, StoreError},
};
use serde_json::{Map, Value};
use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// How long entries are kept.
pub(super) const AUDIT_KEPT: Duration = Duration::from_secs(365 * 86_400);
/// Fields that change with every change, and say nothing.
const SILENT: [&str; 1] = ["updated_at"];
/// Fields that say whose something is, and since when: an entry says both by itself.
const OWNERS: [&str; 4] = ["app", "endpoint", "org", "since"];

/// Who asks for changes, as far as it is known.
#[derive(Debug, Default)]
pub struct Actor {
    /// From where.
    pub from: Option<IpAddr>,
    who: OnceLock<Who>,
}

#[derive(Clone, Debug)]
struct Who {
    actor: AuditActor,
    key: Option<KeyId>,
    user: Option<AuditUser>,
    org: OrgId,
}

tokio::task_local! {
    static ACTOR: Arc<Actor>;
}

impl Actor {
    /// Somebody at that address.
    #[must_use]
    pub fn at(from: Option<IpAddr>) -> Self {
        Actor { from, who: OnceLock::new() }
    }

    /// Answers a request: its changes are this actor's.
    pub async fn answering<T>(self, answer: impl Future<Output = T>) -> T {
        ACTOR.scope(Arc::new(self), answer).await
    }

    /// Notes by which token the request that is being answered came, and for which organization.
    pub fn is(actor: AuditActor, key: Option<KeyId>, org: OrgId) {
        let _nobody_is_audited = ACTOR.try_with(|asking| asking.who.get_or_init(|| Who { actor, key, user: None, org }).actor);
    }

    /// Notes which person sent the request that is being answered.
    pub fn is_user(user: &User) {
        let org = user.org;
        let user = AuditUser { id: user.id, login: user.login.clone() };
        let who = Who { actor: AuditActor::User, key: None, user: Some(user), org };
        let _nobody_is_audited = ACTOR.try_with(|asking| asking.who.set(who));
    }

    /// Whose request the running task answers.
    pub(super) fn of_this_task() -> Option<Arc<Actor>> {
        ACTOR.try_with(Arc::clone).ok().filter(|actor| actor.who.get().is_some())
    }

    /// The entries of changes that are about to be made.
    pub(super) async fn entries(
        &self,
        changes: &[Change],
        store: &dyn Store,
        (random, now): (&Random, Time),
    ) -> Result<Vec<Change>, StoreError> {
        let Some(who) = self.who.get() else { return Ok(Vec::new()) };
        let mut entries = Vec::new();
        for change in changes {
            let (address, action, new) = match change {
                Change::Insert(record) => (record.address(), AuditAction::Created, None),
                Change::Replace(record, _) | Change::Write(record) => (record.address(), AuditAction::Updated, Some(record)),
                Change::Delete(address) => (address.clone(), AuditAction::Deleted, None),
            };
            let Some(what) = audited(address.kind) else { continue };
            let names_more = matches!(address.kind, Kind::Endpoint | Kind::Source | Kind::Retention | Kind::CatchUp);
            let needs_old = new.is_some() || names_more;
            let old = if needs_old { store.find(&address, now).await? } else { None };
            if names_more && old.is_none() && action == AuditAction::Deleted {
                // Nothing goes.
                continue;
            }
            let (action, fields) = match (&old, new) {
                // Put in place of itself, so that whoever changes it at the same moment is too late.
                (Some(old), Some(new)) if old.record == *new => continue,
                (Some(old), Some(new)) => (action, changed(&old.record, new)),
                // The issue is there before anybody says something of it.
                (None, Some(new)) if address.kind == Kind::Triage => (action, given(new)),
                // Written whatever is there, and there is none.
                (None, Some(new)) => (AuditAction::Created, given(new)),
                _ => (action, Vec::new()),
            };
            let record = match change {
                Change::Insert(record) | Change::Replace(record, _) | Change::Write(record) => Some(record),
                Change::Delete(_) => old.as_ref().map(|old| &old.record),
            };
            let what = match record {
                Some(Record::Replay(replay)) if replay.cancels() => "cancel",
                _ => what,
            };
            entries.push(Change::Insert(Record::Audit(AuditEntry {
                org: owner(&address, record).unwrap_or(who.org),
                app: record.and_then(application).or_else(|| address.scope.parse().ok()),
                id_of: address.key,
                fields,
                ..self.entry(who, (action, what), (random, now))
            })));
        }
        Ok(entries)
    }

    /// The entry of something that is no record's change: an order to the whole server, or one of an application's objects.
    pub(super) fn note(&self, what: (AuditAction, &str), of: Option<(AppId, String)>, at: (&Random, Time)) -> Option<Change> {
        let who = self.who.get()?;
        let (app, id_of) = of.unzip();
        let entry = AuditEntry { app, id_of: id_of.unwrap_or_default(), ..self.entry(who, what, at) };
        Some(Change::Insert(Record::Audit(entry)))
    }

    fn entry(&self, who: &Who, (action, what): (AuditAction, &str), (random, now): (&Random, Time)) -> AuditEntry {
        AuditEntry {
            id: AuditId(random.id(now)),
            org: who.org,
            actor: who.actor,
            key: who.key,
            user: who.user.clone(),
            from: self.from,
            action,
            what: what.to_owned(),
            app: None,
            id_of: String::new(),
            fields: Vec::new(),
            expires_at: now.plus(AUDIT_KEPT),
        }
    }
}

/// What entries are about: kinds of records, and orders.
pub const AUDITED: [&str; 21] = [
    "alert",
    "application",
    "attempt_content",
    "branding",
    "cancel",
    "catch_up",
    "endpoint",
    "erasure",
    "event_type",
    "issue",
    "key",
    "master_key",
    "message_content",
    "organization",
    "profile",
    "replay",
    "resend",
    "retention",
    "session",
    "source",
    "user",
];

/// What a kind is called in the log; `None` for what is not configuration.
fn audited(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Organization => Some("organization"),
        Kind::Application => Some("application"),
        Kind::Endpoint => Some("endpoint"),
        Kind::EventType => Some("event_type"),
        Kind::Token => Some("key"),
        Kind::Source => Some("source"),
        Kind::Profile => Some("profile"),
        Kind::User => Some("user"),
        Kind::Session => Some("session"),
        Kind::Triage => Some("issue"),
        Kind::Replay => Some("replay"),
        Kind::Erasure => Some("erasure"),
        Kind::Retention => Some("retention"),
        Kind::CatchUp => Some("catch_up"),
        Kind::Alert => Some("alert"),
        Kind::Branding => Some("branding"),
        _ => None,
    }
}

fn owner(address: &Address, record: Option<&Record>) -> Option<OrgId> {
    match record {
        Some(Record::Endpoint(endpoint)) => Some(endpoint.org),
        Some(Record::Source(source)) => Some(source.org),
        Some(Record::Organization(organization)) => Some(organization.id),
        _ => address.scope.parse().ok(),
    }
}

fn application(record: &Record) -> Option<AppId> {
    match record {
        Record::Endpoint(endpoint) => Some(endpoint.app),
        Record::Source(source) => Some(source.app),
        Record::Retention(retention) => retention.app,
        Record::Replay(replay) => Some(replay.app),
        Record::Erasure(erasure) => erasure.app,
        _ => None,
    }
}

/// A record's fields.
fn fields(record: &Record) -> Map<String, Value> {
    match serde_json::to_value(record) {
        Ok(Value::Object(kind)) => match kind.into_iter().next() {
            Some((_, Value::Object(fields))) => fields,
            _ => Map::new(),
        },
        _ => Map::new(),
    }
}

/// The names of the fields that say something, but whose it is and since when.
fn given(new: &Record) -> Vec<String> {
    let mut names: Vec<String> = fields(new).into_iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.retain(|name| !OWNERS.contains(&name.as_str()) && !SILENT.contains(&name.as_str()));
    names
}

/// The names of the fields in which two forms of a record differ.
fn changed(old: &Record, new: &Record) -> Vec<String> {
    let (old, new) = (fields(old), fields(new));
    let mut names: Vec<String> = old.keys().chain(new.keys()).filter(|name| old.get(*name) != new.get(*name)).cloned().collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| !SILENT.contains(&name.as_str()));
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Endpoint, EndpointId, Sealed};

    #[test]
    fn every_kind_that_is_audited_is_listed() {
        for kind in Kind::ALL.iter().copied() {
            assert!(audited(kind).is_none_or(|what| AUDITED.contains(&what)), "{kind:?}");
        }
        assert!(AUDITED.is_sorted());
    }

    #[test]
    fn names_of_changed_fields_are_kept_and_no_values() {
        let old = Endpoint::new((OrgId(1), AppId(2), EndpointId(3)), "https://a.example/", Time(1));
        let mut new = old.clone();
        new.url = "https://b.example/".into();
        new.credentials = Some(Sealed("canary".into()));
        new.updated_at = Time(2);
        assert_eq!(changed(&Record::Endpoint(old), &Record::Endpoint(new)), ["credentials", "url"]);
    }
}

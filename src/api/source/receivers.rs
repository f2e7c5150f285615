//! Sources of a surface that send on what they receive: each has, beside its URL for third parties, one endpoint for the
//! messages that came through it. Made, changed and deleted together.

use super::{
    rules,
    surface::{make, of, one, revised, rotate, secret, set_schemes},
};
use crate::{
    api::{
        Api, Idempotent, Patch, Problem, Shared,
        endpoint::{Brand, Wish, surface as endpoints},
        rules::Check,
    },
    model::{Address, Closed, Endpoint, EndpointId, Record, Source, SourceId, SourceScheme, Time},
    outbound::Target,
    routing::AppRoutes,
    store::{Change, Window},
};
use axum::{body::Bytes, http::StatusCode, response::Response};
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// Messages that come in while they are counted count too.
const MINUTE: Duration = Duration::from_secs(60);

/// The sources of a surface, for one organization.
pub(crate) struct Receivers {
    /// The store and the rest.
    pub(crate) api: Shared,
    /// The application that gets what they receive.
    pub(crate) app: Arc<AppRoutes>,
    /// Whose they are.
    pub(crate) brand: Brand,
    /// Where third parties post, before an id.
    pub(crate) base: String,
    /// What is particular to them.
    pub(crate) rules: ReceiverRules,
}

/// What an owner calls a third party that has no name.
pub(crate) const CUSTOM: &str = "custom";
/// The provider whose row is that of Standard Webhooks.
const STANDARD: &str = "standard-webhooks";

/// What is particular to the sources of a surface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiverRules {
    /// How third parties sign unless they have a way of their own, as JSON.
    pub(crate) scheme: &'static str,
    /// The path of the route on which third parties post, before an id.
    pub(crate) path: &'static str,
    /// The longest body, in bytes.
    pub(crate) max_body: u32,
    /// The form of their ids.
    pub(crate) id: fn(u128) -> u128,
    /// An id as it is written.
    pub(crate) id_text: fn(u128) -> String,
}

/// What a source is to be. `None` and `Absent`: as it is; of a new one, the default.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceWish {
    /// For people.
    pub(crate) name: Option<String>,
    /// For people, at more length.
    pub(crate) description: Patch<String>,
    /// What its owner calls the third party.
    pub(crate) label: Patch<String>,
    /// Event types that are routed; empty or null: all.
    pub(crate) listed: Patch<Vec<String>>,
    /// Whether it refuses everything, and why.
    pub(crate) closed: Option<Option<Closed>>,
    /// Whether it takes anything, where no reason is given.
    pub(crate) enabled: Option<bool>,
    /// Where events are sent on to; its own URL, nothing or null: nowhere.
    pub(crate) forward: Patch<String>,
}

impl SourceWish {
    /// With `status` (`active`, `paused`, `disabled`) and `enabled` as they are said, which must agree.
    ///
    /// # Errors
    /// There is no such status; they contradict each other.
    pub(crate) fn opened(self, status: Option<&str>, enabled: Option<bool>) -> Result<Self, Problem> {
        let closed = match status {
            None => None,
            Some("active") => Some(None),
            Some("paused") => Some(Some(Closed::Paused)),
            Some("disabled") => Some(Some(Closed::Disabled)),
            Some(_) => {
                return Err(Problem::field(&["body", "status"], "unknown", "It is `active`, `paused` or `disabled`."));
            }
        };
        match (closed, enabled) {
            (Some(closed), Some(enabled)) if enabled != closed.is_none() => {
                Err(Problem::field(&["body", "enabled"], "exclusive", "It contradicts `status`."))
            }
            _ => Ok(SourceWish { closed, enabled, ..self }),
        }
    }

    /// # Errors
    /// A field breaks its rule.
    fn check(&self) -> Result<(), Problem> {
        let mut check = Check::new();
        self.listed.value().into_iter().for_each(|events| rules::listed(&mut check, events));
        check.done()
    }

    /// Changes what it names, except where events are sent on to.
    fn apply(&self, source: &mut Source) {
        if let Some(name) = &self.name {
            source.name = name.trim().to_owned();
        }
        self.label.clone().map(|text| text.trim().to_owned()).apply(&mut source.label);
        source.label = source.label.take().filter(|label| !label.is_empty());
        self.description.clone().apply(&mut source.description);
        self.listed.clone().map(|events| normal(&events)).apply_or_default(&mut source.listed);
        source.closed = match (self.closed, self.enabled) {
            (Some(closed), _) => closed,
            (None, None) => source.closed,
            (None, Some(true)) => None,
            // What is paused already stays paused when all that is asked for is that it does not receive.
            (None, Some(false)) => source.closed.or(Some(Closed::Disabled)),
        };
    }
}

/// Event types without what surrounds them, in lower case, each once.
pub(super) fn normal(events: &[String]) -> Vec<String> {
    let mut normal: Vec<String> = Vec::with_capacity(events.len());
    for event in events.iter().map(|event| event.trim().to_lowercase()).filter(|event| !event.is_empty()) {
        if !normal.contains(&event) {
            normal.push(event);
        }
    }
    normal
}

/// A source that was made and is not yet stored.
struct Made {
    /// The source.
    source: Source,
    /// Its secret.
    secret: String,
    /// Where events are sent on to.
    forward: Option<String>,
    /// What is to be stored.
    changes: Vec<Change>,
}

/// What was sent on of what a source received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forwarded {
    /// Where to.
    pub(crate) url: Option<String>,
    /// Events that were sent on, or wait for it.
    pub(crate) count: u64,
    /// When the last attempt began.
    pub(crate) last: Option<Time>,
}

impl Receivers {
    /// Where third parties post.
    pub(crate) fn url(&self, id: SourceId) -> String {
        format!("{}{}", self.base, (self.rules.id_text)(id.0))
    }

    /// All of them, newest first.
    ///
    /// # Errors
    /// The store is away.
    pub(crate) async fn all(&self) -> Result<Vec<Source>, Problem> {
        of(&self.api, self.app.application.org, self.brand.system).await
    }

    /// A new source.
    ///
    /// # Errors
    /// There are too many; the URL is none that may be reached; the store is away.
    async fn make(&self, wish: &SourceWish) -> Result<Made, Problem> {
        wish.check()?;
        let owner = (self.brand.system, self.app.application.org, self.app.application.id);
        let (mut source, secret) = make(&self.api, owner, self.schemes(None), self.rules.max_body)?;
        source.id = SourceId((self.rules.id)(source.id.0));
        wish.apply(&mut source);
        let schemes = self.schemes(source.label.as_deref());
        set_schemes(&self.api, &mut source, schemes)?;
        let forward = self.outbound(source.id, &wish.forward).await?;
        let mut changes = Vec::with_capacity(2);
        if let Some(url) = &forward {
            let endpoint = self.endpoint((source.id, &secret), url.clone()).await?;
            source.forward = Some(endpoint.id);
            changes.push(Change::Insert(Record::Endpoint(endpoint)));
        }
        changes.insert(0, Change::Insert(Record::Source(source.clone())));
        Ok(Made { source, secret, forward, changes })
    }

    /// The source with this id; `None` is the id of none.
    ///
    /// # Errors
    /// There is none; the store is away.
    pub(crate) async fn one(&self, id: Option<SourceId>) -> Result<Source, Problem> {
        let id = id.ok_or_else(|| Problem::not_found("source"))?;
        one(&self.api, self.app.application.org, (self.brand.system, id)).await
    }

    /// The ways in which requests may be signed: that of the provider which the owner's name for the third party names, the
    /// surface's, and that of Standard Webhooks.
    fn schemes(&self, label: Option<&str>) -> Vec<SourceScheme> {
        let named = label.map(str::to_ascii_lowercase).filter(|name| name != CUSTOM);
        let known = named.filter(|name| postrider_signature::provider(name).is_some()).map(SourceScheme::Provider);
        let own = [SourceScheme::Custom(self.rules.scheme.to_owned()), SourceScheme::Provider(STANDARD.to_owned())];
        known.into_iter().chain(own).collect()
    }

    /// Makes a source, once for each idempotency key; `shown` is given it with its secret.
    ///
    /// # Errors
    /// As [`Receivers::make`]; the key is taken.
    pub(crate) async fn create<T: Serialize>(
        &self,
        mut idempotent: Idempotent,
        (bytes, wish): (&Bytes, &SourceWish),
        shown: impl FnOnce(Source, Forwarded, String) -> T,
    ) -> Result<Response, Problem> {
        if let Some(answer) = idempotent.begin(&self.api, bytes).await? {
            return Ok(answer);
        }
        let Made { source, secret, forward, changes } = self.make(wish).await?;
        let out = shown(source, Forwarded { url: forward, ..Forwarded::default() }, secret);
        idempotent.commit_sealed(&self.api, changes, StatusCode::CREATED, &out).await
    }

    /// The newest that takes events.
    ///
    /// # Errors
    /// There is none; the store is away.
    pub(crate) async fn newest_open(&self) -> Result<Source, Problem> {
        let open = self.all().await?.into_iter().find(|source| source.closed.is_none());
        open.ok_or_else(|| Problem::not_found("source"))
    }

    /// Changes a source to what is wished.
    ///
    /// # Errors
    /// As [`Receivers::make`]; there is none.
    pub(crate) async fn change(&self, id: Option<SourceId>, wish: &SourceWish) -> Result<Source, Problem> {
        wish.check()?;
        let known = self.one(id).await?;
        let (forward, changes) = self.redirected(&known, &wish.forward).await?;
        let now = self.api.engine.clock.now();
        let changed = revised(&self.api, known.org, (self.brand.system, known.id), |source| {
            let before = source.clone();
            wish.apply(source);
            if source.label != before.label {
                let schemes = self.schemes(source.label.as_deref());
                set_schemes(&self.api, source, schemes)?;
            }
            source.forward = forward;
            if *source != before || !changes.is_empty() {
                source.updated_at = now;
            }
            Ok((source.clone(), changes.clone()))
        });
        changed.await
    }

    /// Deletes a source for good, and what sends on: retries that are due included.
    ///
    /// # Errors
    /// There is none; the store is away.
    pub(crate) async fn delete(&self, id: Option<SourceId>) -> Result<(), Problem> {
        let source = self.one(id).await?;
        let forward = source.forward.map(|endpoint| Change::Delete(Address::endpoint(source.app, endpoint)));
        let gone = Change::Delete(Address::source(source.org, source.id));
        Ok(self.api.engine.change(std::iter::once(gone).chain(forward).collect()).await?)
    }

    /// Puts a new secret in place, at once, for what comes in and for what is sent on.
    ///
    /// # Errors
    /// There is no such source; the store is away.
    pub(crate) async fn rotate(&self, id: Option<SourceId>) -> Result<(SourceId, String), Problem> {
        let known = self.one(id).await?;
        let endpoint = forwarding(&self.api, &known).await?;
        let rotated = revised(&self.api, known.org, (self.brand.system, known.id), |source| {
            let text = rotate(&self.api, source)?;
            let resealed = endpoint.clone().map(|(endpoint, revision)| {
                Ok::<_, Problem>(Change::Replace(Record::Endpoint(endpoints::secured(&self.api, endpoint, &text)?), revision))
            });
            Ok((text, resealed.transpose()?.into_iter().collect()))
        });
        Ok((known.id, rotated.await?))
    }

    /// The URL that is asked for; `None`: the source's own, which is nowhere.
    async fn outbound(&self, id: SourceId, asked: &Patch<String>) -> Result<Option<String>, Problem> {
        let own = self.url(id);
        let asked = asked.value().map(|url| url.trim());
        let Some(url) = asked.filter(|url| !url.is_empty() && *url != own) else { return Ok(None) };
        let fault = |rule: String| Problem::field(&["body", "url"], "url", rule);
        let target = Target::parse(url).map_err(|error| fault(error.to_string()))?;
        match self.api.engine.outbound.forbidden(&target).await {
            Some(cause) => Err(fault(format!("It must be a public HTTP(S) URL. {}", cause.sentence()))),
            None => Ok(Some(url.to_owned())),
        }
    }

    /// A new endpoint that sends on what a source receives.
    async fn endpoint(&self, (source, secret): (SourceId, &str), url: String) -> Result<Endpoint, Problem> {
        let wish =
            Wish { url: Some(url), channels: Some(vec![source.to_string()]), secret: Some(secret.to_owned()), ..Wish::default() };
        wish.make(&self.api, &self.app, &self.brand).await.map(|(endpoint, _)| endpoint)
    }

    /// The endpoint that a source sends on with after a change of its URL, and what is to be changed for that.
    async fn redirected(&self, source: &Source, asked: &Patch<String>) -> Result<(Option<EndpointId>, Vec<Change>), Problem> {
        if *asked == Patch::Absent {
            return Ok((source.forward, Vec::new()));
        }
        match (self.outbound(source.id, asked).await?, forwarding(&self.api, source).await?) {
            (None, None) => Ok((None, Vec::new())),
            (None, Some((old, _))) => Ok((None, vec![Change::Delete(Address::endpoint(source.app, old.id))])),
            (Some(url), Some((endpoint, revision))) => {
                let wish = Wish { url: Some(url), ..Wish::default() };
                let moved = wish.applied(&self.api, &self.app, (&self.brand, &endpoint)).await?;
                let change = (moved != endpoint).then(|| Change::Replace(Record::Endpoint(moved), revision));
                Ok((Some(endpoint.id), change.into_iter().collect()))
            }
            (Some(url), None) => {
                let endpoint = self.endpoint((source.id, &secret(&self.api, source)?), url).await?;
                Ok((Some(endpoint.id), vec![Change::Insert(Record::Endpoint(endpoint))]))
            }
        }
    }
}

/// The endpoint that sends on what a source receives, with its revision; somebody may have deleted it as an endpoint.
async fn forwarding(api: &Api, source: &Source) -> Result<Option<(Endpoint, u64)>, Problem> {
    match source.forward {
        Some(forward) => endpoints::stored(api, source.app, forward).await,
        None => Ok(None),
    }
}

/// What was sent on of what a source received.
///
/// # Errors
/// The store is away.
pub(crate) async fn forwarded(api: &Api, source: &Source) -> Result<Forwarded, Problem> {
    let Some((endpoint, _)) = forwarding(api, source).await? else { return Ok(Forwarded::default()) };
    let now = api.engine.clock.now();
    let stats = api.engine.store.stats(endpoint.id, source.created_at, now.plus(MINUTE)).await?;
    let newest = Window { above: 0, below: u128::MAX, newest_first: true, limit: 1 };
    let last = api.engine.store.attempts(endpoint.id, newest).await?;
    Ok(Forwarded {
        url: Some(endpoint.url),
        count: stats.delivered + stats.exhausted + stats.pending,
        last: last.first().map(|attempt| attempt.id.time()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_types_are_normalised() {
        let given = [" A.b ", "a.B", "", "c", " "].map(str::to_owned);
        assert_eq!(normal(&given), ["a.b", "c"]);
    }

    #[test]
    fn status_and_enabled_are_one() {
        let opened = |status, enabled| {
            let wish = SourceWish::default().opened(status, enabled)?;
            Ok::<_, Problem>((wish.closed, wish.enabled))
        };
        assert_eq!(opened(None, None), Ok((None, None)));
        assert_eq!(opened(None, Some(true)), Ok((None, Some(true))));
        assert_eq!(opened(Some("active"), Some(true)), Ok((Some(None), Some(true))));
        assert_eq!(opened(Some("paused"), Some(false)), Ok((Some(Some(Closed::Paused)), Some(false))));
        for (status, enabled) in [("paused", Some(true)), ("active", Some(false)), ("on", None)] {
            assert!(opened(Some(status), enabled).is_err(), "{status}");
        }
    }
}

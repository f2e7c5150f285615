//! Sources of the documented systems: made, found, changed and tried by the rules of all sources. Each belongs to the
//! surface that made it.

use super::{
    rejection,
    seal::Text,
    store,
    synthetic::{self, request},
};
use crate::{
    api::{Api, Problem, page::MAX_LIMIT, revise},
    inbound::{Received, Rules, SECRET_PURPOSE},
    model::{Address, AppId, Kind, Message, MsgId, OrgId, Record, Rejection, Source, SourceAnswer, SourceId, SourceScheme, System},
    store::{Change, Conflict, ListPage, StoreError, Window},
};
use postrider_signature::{Key, Refusal, Request, Verified};
use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};
use zeroize::Zeroizing;

/// Random bytes of a secret that is made.
const SECRET_BYTES: usize = 32;
/// Seconds within which a repeated event id is the same event: a day.
const WINDOW_S: u32 = 86_400;
/// The longest type of a synthetic event, in bytes.
const MAX_TYPE: usize = 256;
/// Messages of an application that are looked through for those of a source.
const MAX_SCANNED: usize = 20_000;

/// A source that a surface itself needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing<'a> {
    /// Its uid.
    pub(crate) uid: &'a str,
    /// Its name, for people.
    pub(crate) name: &'a str,
    /// Who posts to it.
    pub(crate) provider: &'a str,
    /// What that signs with.
    pub(crate) secret: &'a str,
    /// The longest body, in bytes.
    pub(crate) max_body: u32,
    /// The form of its id.
    pub(crate) id: fn(u128) -> u128,
}

/// The whole of a time-ordered list, newest first.
fn newest(below: u128, limit: usize) -> Window {
    Window { above: 0, below, newest_first: true, limit }
}

/// A new source of a system, not yet stored, with a secret of the form `whsec_…` that was made. Of the schemes the first
/// that can use the secret is the source's, the others are alternatives.
///
/// # Errors
/// There are too many; no scheme can use the secret; the vault refuses.
pub(crate) fn make(
    api: &Api,
    (system, org, app): (System, OrgId, AppId),
    schemes: Vec<SourceScheme>,
    max_body: u32,
) -> Result<(Source, String), Problem> {
    if api.inbound.sources.count(app) >= store::MAX_OWN_SOURCES {
        return Err(Problem::bad_request("limit_reached", format!("At most {} webhooks.", store::MAX_OWN_SOURCES)));
    }
    let forge = api.source_forge();
    let mut source = store::blank(&forge, (org, app, false))?;
    source.system = Some(system);
    source.methods = vec!["POST".to_owned()];
    source.max_body = max_body;
    source.dedup_window_s = WINDOW_S;
    source.answer = SourceAnswer { status: 200, headers: BTreeMap::new(), body: String::new() };
    let text = fresh_secret(api);
    source.secrets = vec![forge.seal(SECRET_PURPOSE, &text)?];
    set_schemes(api, &mut source, schemes)?;
    Ok((source, text.to_string()))
}

/// Sets how a source's requests may be signed: by the first of the schemes that can use its secret, or by another one that
/// can.
///
/// # Errors
/// None can; the vault refuses.
pub(crate) fn set_schemes(api: &Api, source: &mut Source, schemes: Vec<SourceScheme>) -> Result<(), Problem> {
    let mut usable = Vec::with_capacity(schemes.len());
    for scheme in schemes {
        let tried = Source { scheme: scheme.clone(), alternatives: Vec::new(), ..source.clone() };
        let compiled = store::compiled(api, &tried)?;
        // One that needs no secret takes anything from anybody.
        let needs_secret = compiled.rules.verifier(&[], &compiled.settings).is_err();
        if needs_secret && compiled.rules.symmetric() && !compiled.rules.brings_secret() && store::check(api, &tried).is_ok() {
            usable.push(scheme);
        }
    }
    if usable.is_empty() {
        return Err(Problem::Internal);
    }
    source.scheme = usable.remove(0);
    source.alternatives = usable;
    Ok(())
}

fn fresh_secret(api: &Api) -> Text {
    Text::new(Key::symmetric_text(&*Zeroizing::new(api.engine.random.bytes::<SECRET_BYTES>())))
}

/// Puts a new secret in place; nothing that was signed with an older one is genuine from now on.
///
/// # Errors
/// The vault refuses.
pub(crate) fn rotate(api: &Api, source: &mut Source) -> Result<String, Problem> {
    let (forge, text) = (api.source_forge(), fresh_secret(api));
    let fresh = forge.seal(SECRET_PURPOSE, &text)?;
    forge.rotate((SECRET_PURPOSE, &mut source.secrets), fresh, Duration::ZERO)?;
    source.updated_at = forge.now;
    Ok(text.to_string())
}

/// Puts a secret in place that its owner gives, unless it is there already.
///
/// # Errors
/// The vault refuses.
fn trust(api: &Api, source: &mut Source, text: &str) -> Result<(), Problem> {
    let forge = api.source_forge();
    source.secrets = forge.replace(&source.secrets, &[Text::new(text.to_owned())])?;
    Ok(())
}

/// The text of a source's current secret.
///
/// # Errors
/// There is none, or it does not open.
pub(crate) fn secret(api: &Api, source: &Source) -> Result<String, Problem> {
    let secret = source.secrets.last().ok_or(Problem::Internal)?;
    Ok(api.source_forge().open(SECRET_PURPOSE, secret)?.to_string())
}

/// The source with this id, if that system made it for the organization.
///
/// # Errors
/// There is none; the store is away.
pub(crate) async fn one(api: &Api, org: OrgId, (system, id): (System, SourceId)) -> Result<Source, Problem> {
    let found = api.engine.store.find(&Address::source(org, id), api.engine.clock.now()).await?;
    match found.map(|stored| stored.record) {
        Some(Record::Source(source)) if source.system == Some(system) => Ok(source),
        _ => Err(Problem::not_found("source")),
    }
}

/// The organization's sources that a system made, newest first.
///
/// # Errors
/// The store is away.
pub(crate) async fn of(api: &Api, org: OrgId, system: System) -> Result<Vec<Source>, Problem> {
    let (scope, now) = (org.to_string(), api.engine.clock.now());
    let (mut all, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = ListPage { after: after.as_deref(), backwards: true, limit: MAX_LIMIT };
        let found = api.engine.store.list(Kind::Source, &scope, page, now).await?;
        let last = found.len() < MAX_LIMIT;
        after = found.last().map(|stored| stored.record.address().key);
        all.extend(found.into_iter().filter_map(|stored| match stored.record {
            Record::Source(source) if source.system == Some(system) => Some(source),
            _ => None,
        }));
        if last {
            return Ok(all);
        }
    }
}

/// Puts the source's new form in place of the one that `change` is given, with what `change` asks for beside it in the same
/// commit; again, when it was changed in between.
///
/// # Errors
/// What `change` refuses; there is no such source of that system; the store is away.
pub(crate) async fn revised<T>(
    api: &Api,
    org: OrgId,
    (system, id): (System, SourceId),
    mut change: impl FnMut(&mut Source) -> Result<(T, Vec<Change>), Problem>,
) -> Result<T, Problem> {
    let missing = || Problem::not_found("source");
    let address = Address::source(org, id);
    let revised = revise::revise_with(&api.engine, &address, |record| match record {
        Record::Source(source) if source.system == Some(system) => change(source),
        _ => Err(missing()),
    });
    revised.await?.ok_or_else(missing)
}

/// Judges a request by a source's rules without receiving it.
///
/// # Errors
/// The source cannot be read.
pub(crate) fn judged(api: &Api, source: &Source, request: &Request<'_>) -> Result<Result<Verified, Refusal>, Problem> {
    Ok(store::compiled(api, source)?.verify(request, api.engine.clock.wall()))
}

/// The headers in which a source's requests carry this signature and this timestamp, by each of its schemes.
pub(crate) fn signature_headers(source: &Source, signature: &str, timestamp: Option<&str>) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for scheme in std::iter::once(&source.scheme).chain(&source.alternatives) {
        let rules = Rules::of(scheme).ok().and_then(|rules| match rules {
            Rules::Provider(provider) => provider.scheme().and_then(|scheme| serde_json::to_value(scheme).ok()),
            Rules::Custom(scheme) => serde_json::to_value(&*scheme).ok(),
        });
        let place = |path: &str| {
            let place = rules.as_ref()?.pointer(path)?.as_str()?.strip_prefix("header:")?;
            Some(place.to_ascii_lowercase())
        };
        headers.extend(place("/signature/in").map(|name| (name, signature.to_owned())));
        headers.extend(place("/timestamp/in").zip(timestamp.map(str::to_owned)));
    }
    headers
}

/// Receives a synthetic event, signed as the source's sender would sign it: it takes the same path as any other. `url` is
/// where it would have come.
///
/// # Errors
/// The sender's requests have no place for the type, or it cannot be signed here; the store is away.
pub(crate) async fn tried(api: &Api, source: SourceId, (event_type, url): (String, String)) -> Result<Received, Problem> {
    let compiled = api.inbound.sources.by_id(source).ok_or_else(|| Problem::not_found("source"))?;
    let now = api.engine.clock.now();
    let id = MsgId(api.engine.random.id(now)).to_string();
    if !(1..=MAX_TYPE).contains(&event_type.len()) {
        return Err(Problem::field(&["body", "type"], "length", format!("It has 1 to {MAX_TYPE} bytes.")));
    }
    let wanted = synthetic::Wanted { event_type: Some(event_type), payload: None, id };
    let arrival = request(&compiled, wanted, url, now)?;
    Ok(api.inbound.receive(&compiled, &arrival).await)
}

/// The source of this uid that the surface itself needs, with the secret that it is configured with; made on first use.
///
/// # Errors
/// The secret is none for that provider; the store is away.
pub(crate) async fn standing(
    api: &Api,
    (system, org, app): (System, OrgId, AppId),
    wanted: Standing<'_>,
) -> Result<SourceId, Problem> {
    let address = Address::new(Kind::Source, org, wanted.uid);
    let found = async || api.engine.store.find(&address, api.engine.clock.now()).await;
    if let Some(Record::Source(known)) = found().await?.map(|stored| stored.record) {
        if secret(api, &known)? != wanted.secret {
            let trusted = |source: &mut Source| Ok((trust(api, source, wanted.secret)?, Vec::new()));
            revised(api, org, (system, known.id), trusted).await?;
        }
        return Ok(known.id);
    }
    let schemes = vec![SourceScheme::Provider(wanted.provider.to_owned())];
    let (mut source, _) = make(api, (system, org, app), schemes, wanted.max_body)?;
    trust(api, &mut source, wanted.secret)?;
    let source = Source {
        id: SourceId((wanted.id)(source.id.0)),
        uid: Some(wanted.uid.to_owned()),
        name: wanted.name.to_owned(),
        label: Some(wanted.provider.to_owned()),
        ..source
    };
    match api.engine.change(vec![Change::Insert(Record::Source(source.clone()))]).await {
        Ok(()) => Ok(source.id),
        // Somebody else has just made it.
        Err(StoreError::Conflict(Conflict::Record(_))) => match found().await?.map(|stored| stored.record) {
            Some(Record::Source(known)) => Ok(known.id),
            _ => Err(Problem::Unavailable),
        },
        Err(error) => Err(error.into()),
    }
}

/// A request to a source: what it received, or what it refused.
#[derive(Clone, Debug)]
pub(crate) enum Requested {
    /// It is recorded as a message.
    Received(Message),
    /// It is recorded as a rejection.
    Refused(Rejection),
}

impl Requested {
    /// The source.
    pub(crate) fn source(&self) -> Option<SourceId> {
        match self {
            Requested::Received(message) => message.origin.as_ref().map(|origin| origin.source),
            Requested::Refused(rejection) => Some(rejection.source),
        }
    }

    fn number(&self) -> u128 {
        match self {
            Requested::Received(message) => message.id.0,
            Requested::Refused(rejection) => rejection.id.0,
        }
    }
}

/// The newest requests to these sources, which are of one application.
///
/// # Errors
/// The store is away.
pub(crate) async fn requests(api: &Api, sources: &[Source], limit: usize) -> Result<Vec<Requested>, Problem> {
    let Some(app) = sources.first().map(|source| source.app) else { return Ok(Vec::new()) };
    let ids: HashSet<SourceId> = sources.iter().map(|source| source.id).collect();
    let received = received(api, app, limit, |source| ids.contains(&source)).await?;
    let mut all: Vec<Requested> = received.into_iter().map(Requested::Received).collect();
    for source in sources {
        all.extend(rejected(api, source.id, limit).await?.into_iter().map(Requested::Refused));
    }
    all.sort_unstable_by_key(|request| std::cmp::Reverse(request.number()));
    all.truncate(limit);
    Ok(all)
}

/// The newest messages of an application that sources have received which `keep` keeps.
///
/// # Errors
/// The store is away.
async fn received(api: &Api, app: AppId, limit: usize, keep: impl Fn(SourceId) -> bool) -> Result<Vec<Message>, Problem> {
    let (mut kept, mut below, mut scanned) = (Vec::new(), u128::MAX, 0);
    while kept.len() < limit && scanned < MAX_SCANNED {
        let rows = api.engine.store.messages(app, newest(below, MAX_LIMIT)).await?;
        scanned += rows.len();
        let last = rows.len() < MAX_LIMIT;
        below = rows.last().map_or(0, |message| message.id.0);
        kept.extend(rows.into_iter().filter(|message| message.origin.as_ref().is_some_and(|origin| keep(origin.source))));
        if last {
            break;
        }
    }
    kept.truncate(limit);
    Ok(kept)
}

/// The newest requests that a source refused.
///
/// # Errors
/// The store is away.
async fn rejected(api: &Api, source: SourceId, limit: usize) -> Result<Vec<Rejection>, Problem> {
    let now = api.engine.clock.now();
    Ok(rejection::read(&*api.engine.store, source, newest(u128::MAX, limit), now).await?)
}

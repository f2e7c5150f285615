//! Finding, making and changing sources.

use super::{
    edit::Edit,
    provider::unknown,
    rules,
    seal::{Forge, Text, unusable},
    shape::{SourceIn, SourceOut},
};
use crate::{
    api::{Api, Base, Caller, Problem, application::made_on_first_use, revise, rules::Check},
    inbound::{Compiled, NotCompiled, State, TOKEN_PURPOSE},
    model::{Address, AppId, Grant, Kind, Metadata, OrgId, RECEIVED_UID, Record, Source, SourceAnswer, SourceId, SourceScheme},
    store::Change,
};
use postrider_signature::SchemeError;
use std::sync::Arc;

/// Sources that an organization owns itself, at most.
pub(super) const MAX_OWN_SOURCES: usize = 10_000;
/// Sources that an application owns at most.
const MAX_APP_SOURCES: usize = 1_000;
/// Name of the application that gets what an organization's own sources receive.
const RECEIVED_NAME: &str = "Received";
/// Where sources receive, before the token.
const RECEIVE_PATH: &str = "/in/";
/// Stands for the token in URLs that are shown to those who may not manage sources.
const MASK: &str = "***";

impl Api {
    /// What seals a source's secrets.
    pub(super) fn source_forge(&self) -> Forge<'_> {
        Forge { vault: &self.engine.vault, random: &self.engine.random, now: self.engine.clock.now() }
    }
}

/// Whether the caller may see a source: keys all of the organization's, a portal token what its application owns.
pub(super) fn visible(caller: &Caller, source: &Source) -> bool {
    match &caller.grant {
        Grant::Key | Grant::Limited { .. } | Grant::Session => true,
        Grant::Portal { app, .. } => source.app_owned && source.app == *app,
    }
}

/// Where the source with this id or uid is. A uid is its owner's own name: for a portal token its application's; for a key
/// the organization's, otherwise that of the one application whose source has it.
///
/// # Errors
/// 409: several applications have sources of this uid.
fn address(api: &Api, caller: &Caller, id_or_uid: &str) -> Result<Address, Problem> {
    if let Grant::Portal { app, .. } = &caller.grant
        && id_or_uid.parse::<SourceId>().is_err()
    {
        return Ok(Address::new(Kind::Source, app, id_or_uid));
    }
    let own = || Ok(Address::new(Kind::Source, caller.org, id_or_uid));
    match api.inbound.sources.named(caller.org, id_or_uid).as_slice() {
        [] => own(),
        [(false, _), ..] => own(),
        [(true, only)] => Ok(Address::source(caller.org, *only)),
        _ => Err(Problem::conflict("Sources of several applications have this uid: name the one that is meant by its id.")),
    }
}

/// The source with this id or uid, if the caller may see it.
///
/// # Errors
/// There is none, or several; the store is away.
pub(super) async fn find(api: &Api, caller: &Caller, id_or_uid: &str) -> Result<Source, Problem> {
    at(api, caller, &address(api, caller, id_or_uid)?).await
}

/// The source to which its future owner gives this uid, if it is there: the application that is named, otherwise the caller's
/// own, otherwise the organization.
///
/// # Errors
/// There is none; there is no such application; the store is away.
pub(super) async fn find_owned(api: &Api, caller: &Caller, (app, uid): (Option<&str>, &str)) -> Result<Source, Problem> {
    let owner = match (app, &caller.grant) {
        (Some(app), _) => named_app(api, caller, app).await?.to_string(),
        (None, Grant::Portal { app, .. }) => app.to_string(),
        (None, Grant::Key | Grant::Limited { .. } | Grant::Session) => caller.org.to_string(),
    };
    at(api, caller, &Address::new(Kind::Source, owner, uid)).await
}

async fn named_app(api: &Api, caller: &Caller, app: &str) -> Result<AppId, Problem> {
    let found = caller.application(api, app).await;
    let named = found.map_err(|_| Problem::field(&["body", "appId"], "unknown", "There is no such application."))?;
    Ok(named.application.id)
}

async fn at(api: &Api, caller: &Caller, address: &Address) -> Result<Source, Problem> {
    let found = api.engine.store.find(address, api.engine.clock.now()).await?;
    match found.map(|stored| stored.record) {
        Some(Record::Source(source)) if visible(caller, &source) => Ok(source),
        _ => Err(missing()),
    }
}

pub(super) fn missing() -> Problem {
    Problem::not_found("source")
}

/// A source as it is shown to a caller: who may only look sees no token in its URL.
///
/// # Errors
/// Its token does not open.
pub(super) fn shown(api: &Api, (caller, base): (&Caller, &Base), source: Source) -> Result<SourceOut, Problem> {
    let url = if caller.changes() { url(api, base, &source)?.to_string() } else { format!("{}{RECEIVE_PATH}{MASK}", base.0) };
    SourceOut::new(source, url)
}

/// The receive URL of a source, with its current token.
///
/// # Errors
/// Its token does not open.
pub(super) fn url(api: &Api, Base(base): &Base, source: &Source) -> Result<Text, Problem> {
    let token = source.tokens.last().ok_or(Problem::Internal)?;
    let token = api.source_forge().open(TOKEN_PURPOSE, token)?;
    Ok(Text::new(format!("{base}{RECEIVE_PATH}{}", *token)))
}

/// The application that owns a new source; `None`: the organization does.
///
/// # Errors
/// There is no such application, or the caller may not see it; the store is away.
async fn owner(api: &Api, caller: &Caller, app: Option<&str>) -> Result<Option<AppId>, Problem> {
    match (app, &caller.grant) {
        (Some(app), _) => named_app(api, caller, app).await.map(Some),
        (None, Grant::Portal { app, .. }) => Ok(Some(*app)),
        (None, Grant::Key | Grant::Limited { .. } | Grant::Session) => Ok(None),
    }
}

/// The application that gets what the organization's own sources receive; made with the first of them.
async fn received(api: &Api, org: OrgId) -> Result<AppId, Problem> {
    Ok(made_on_first_use(api, org, RECEIVED_UID, RECEIVED_NAME).await?.application.id)
}

/// A new source, not yet stored, and its secret if one was made for it.
///
/// # Errors
/// A field breaks its rule, the parts do not fit together; there are too many; the store is away.
pub(super) async fn fresh(api: &Api, caller: &Caller, body: SourceIn) -> Result<(Source, Option<Text>), Problem> {
    let app = body.app_id.clone();
    let edit = Edit::full(body)?;
    let forge = api.source_forge();
    let owner = owner(api, caller, app.as_deref()).await?;
    let (most, whose) = if owner.is_some() { (MAX_APP_SOURCES, "An application") } else { (MAX_OWN_SOURCES, "An organization") };
    let receives = owner.or_else(|| api.engine.app(caller.org, RECEIVED_UID).map(|app| app.application.id));
    if receives.is_some_and(|app| api.inbound.sources.count(app) >= most) {
        return Err(Problem::bad_request("limit_reached", format!("{whose} has at most {most} sources of its own.")));
    }
    let mut source = blank(&forge, (caller.org, receives.unwrap_or(AppId(0)), owner.is_some()))?;
    edit.apply(&mut source, &forge)?;
    let made = match edit.secrets {
        Some(_) => None,
        None => first_secret(api, &mut source)?,
    };
    check(api, &source)?;
    if receives.is_none() {
        // The last of all: what is refused makes no application.
        source.app = received(api, caller.org).await?;
    }
    Ok((source, made))
}

/// A source without anything yet, but a URL.
///
/// # Errors
/// The vault refuses.
pub(super) fn blank(forge: &Forge<'_>, (org, app, app_owned): (OrgId, AppId, bool)) -> Result<Source, Problem> {
    Ok(Source {
        id: SourceId(forge.random.id(forge.now)),
        org,
        app,
        app_owned,
        uid: None,
        name: String::new(),
        description: None,
        label: None,
        scheme: SourceScheme::Provider(String::new()),
        alternatives: Vec::new(),
        secrets: Vec::new(),
        settings: Default::default(),
        tokens: vec![forge.token()?],
        methods: Vec::new(),
        max_body: 0,
        allow_cidrs: Vec::new(),
        answer: SourceAnswer { status: 200, headers: Default::default(), body: String::new() },
        dedup_window_s: 0,
        event_type_prefix: String::new(),
        forward_headers: Vec::new(),
        split: false,
        listed: Vec::new(),
        closed: None,
        forward: None,
        system: None,
        paused: None,
        awaits_secret: false,
        metadata: Metadata::new(),
        created_at: forge.now,
        updated_at: forge.now,
    })
}

/// The secret of a source for which none was given: none where the scheme has none or the sender brings it, otherwise
/// one that is made.
fn first_secret(api: &Api, source: &mut Source) -> Result<Option<Text>, Problem> {
    let compiled = compiled(api, source)?;
    if compiled.rules.brings_secret() {
        source.awaits_secret = true;
        return Ok(None);
    }
    if compiled.rules.verifier(&[], &compiled.settings).is_ok() {
        return Ok(None);
    }
    let forge = api.source_forge();
    let text = forge.make(&compiled.rules, &compiled.settings)?;
    source.secrets = forge.replace(&[], std::slice::from_ref(&text))?;
    Ok(Some(text))
}

/// Whether the source's parts fit together: its scheme exists and can use its secrets and settings.
///
/// # Errors
/// They do not; the problem names the field.
pub(super) fn check(api: &Api, source: &Source) -> Result<(), Problem> {
    let compiled = compiled(api, source)?;
    let mut faults = Check::new();
    rules::fits(&mut faults, &compiled.rules, source);
    faults.done()?;
    if source.awaits_secret && source.secrets.is_empty() {
        return Ok(());
    }
    compiled.verifier(api.engine.clock.now()).map(|_| ()).map_err(|refusal| unusable(&refusal))
}

/// The source as it judges requests.
///
/// # Errors
/// The provider or the scheme is none; the vault refuses.
pub(super) fn compiled(api: &Api, source: &Source) -> Result<Compiled, Problem> {
    Compiled::new(source.clone(), &api.engine.vault, Arc::new(State::default())).map_err(|error| match error {
        NotCompiled::Vault(error) => error.into(),
        NotCompiled::Cidr(error) => Problem::field(&["body", "allowCidrs"], "cidr", error.to_string()),
        NotCompiled::UnknownProvider(name) => Problem::field(&["body", "provider"], "unknown", unknown(&name)),
        NotCompiled::Scheme(SchemeError { field, rule }) => {
            let path: Vec<&str> = ["body", "scheme"].into_iter().chain(field.split('.').filter(|part| *part != "scheme")).collect();
            Problem::field(&path, "scheme", rule)
        }
    })
}

/// Puts the source's new form in place of the one that `change` is given, with what `more` makes of it in the same
/// commit; again, when it was changed in between.
///
/// # Errors
/// What `change` or `more` refuses; there is no such source; its uid is taken; the store is away.
pub(super) async fn revise_with<T>(
    api: &Api,
    caller: &Caller,
    id_or_uid: &str,
    mut change: impl FnMut(&mut Source) -> Result<(T, Vec<Change>), Problem>,
) -> Result<T, Problem> {
    let address = address(api, caller, id_or_uid)?;
    let revised = revise::revise_with(&api.engine, &address, |record| {
        let Record::Source(source) = record else { return Err(missing()) };
        if !visible(caller, source) {
            return Err(missing());
        }
        change(source)
    });
    revised.await?.ok_or_else(missing)
}

/// Applies an edit to a source that is there.
///
/// # Errors
/// As [`revise_with`] and [`check`].
pub(super) async fn edit(api: &Api, caller: &Caller, id_or_uid: &str, edit: &Edit) -> Result<Source, Problem> {
    let forge = api.source_forge();
    revise_with(api, caller, id_or_uid, |source| {
        let before = source.clone();
        edit.apply(source, &forge)?;
        if *source != before {
            source.awaits_secret |= source.secrets.is_empty() && compiled(api, source)?.rules.brings_secret();
            check(api, source)?;
        }
        Ok((source.clone(), Vec::new()))
    })
    .await
}

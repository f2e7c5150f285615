//! `/api/v1/master-key`: another master key takes the place of the one in force, while everything runs. Ours, not of the
//! compatible contract.
//!
//! The new key is stored, sealed under the old one; every node takes it over, into its file first; every sealed value is
//! sealed anew; then the old key is forgotten everywhere. Each step can be repeated, so a rotation that was cut short goes
//! on when it is asked for again, and both keys are at hand until it has ended. There is one at a time: a node that runs it
//! refuses a second, another node goes on with the same one, and only the one that was begun can be ended.

use super::{Caller, Errors, Problem, Shared, idempotency};
use crate::{
    crypto::{Vault, VaultError},
    flow::{Engine, ROTATION_PURPOSE},
    inbound,
    model::{Address, AuditAction, Grant, Kind, Record, Rotation, Sealed},
    random::Random,
    routing::{CREDENTIALS_PURPOSE, HEADER_PURPOSE, PROXY_PURPOSE, SECRET_PURPOSE},
    store::{Change, Conflict, StoreError},
};
use axum::{extract::State, http::StatusCode};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How long other nodes are given to take a step over before the next one.
const STEP: Duration = Duration::from_secs(2);
/// Rounds over everything, until one finds nothing to do.
const ROUNDS: usize = 20;
/// Kinds whose records hold sealed values.
const SEALED_KINDS: [Kind; 4] = [Kind::Organization, Kind::Endpoint, Kind::Source, Kind::Answered];

/// How far a rotation is.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotationOut {
    /// Whether one is running on this node.
    pub running: bool,
    /// Whether the last one that this node ran has ended well.
    pub done: bool,
    /// Records that it has sealed anew.
    pub resealed: u64,
    /// Whether a rotation that was begun, by whichever node, has not ended: some values need the old key still. Ask again and
    /// it goes on, unless it is running.
    pub unfinished: bool,
    /// Why it stopped; ask again and it goes on.
    pub error: Option<String>,
}

/// Why a rotation stopped. Asked for again, it goes on.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("{0}")]
    Keys(String),
    #[error("others keep sealing under the old key")]
    Busy,
    #[error("another node has ended it and begun the next one")]
    Overtaken,
}

/// The state of this node's rotation.
#[derive(Debug, Default)]
pub struct Rotating(Mutex<RotationOut>);

/// The turn to rotate on this node. It is given back, unless it is used: a request may end before it has begun anything.
struct Claim<'a> {
    state: &'a Rotating,
    before: Option<RotationOut>,
}

impl<'a> Claim<'a> {
    /// # Errors
    /// 409: a rotation is running.
    fn of(state: &'a Rotating) -> Result<Self, Problem> {
        let mut now = state.0.lock();
        if now.running {
            return Err(Problem::conflict("A rotation of the master key is under way already."));
        }
        let before = std::mem::replace(&mut *now, RotationOut { running: true, ..RotationOut::default() });
        Ok(Claim { state, before: Some(before) })
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some(before) = self.before.take() {
            *self.state.0.lock() = before;
        }
    }
}

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(state, rotate))
}

/// The master key is the server's, not an organization's.
fn operator(api: &Shared, caller: &Caller) -> Result<(), Problem> {
    if caller.grant == Grant::Key && caller.org == api.options.first_org {
        return Ok(());
    }
    Err(Problem::forbidden("Only an API key of the first organization that may do everything may do this."))
}

/// Get Rotation.
///
/// How far the rotation of the master key is that this node runs, or ran last.
#[utoipa::path(
    get, path = "/api/v1/master-key/rotate", operation_id = "v1.master-key.get", tag = "Key", summary = "Get Rotation",
    responses(Errors, (status = 200, description = "Its state", body = RotationOut))
)]
async fn state(State(api): State<Shared>, caller: Caller) -> Result<axum::Json<RotationOut>, Problem> {
    operator(&api, &caller)?;
    let unfinished = stored(&api.engine).await?.is_some_and(|(rotation, _)| !rotation.ended);
    let state = api.rotating.0.lock().clone();
    Ok(axum::Json(RotationOut { unfinished, ..state }))
}

/// Rotate Master Key.
///
/// Makes a new master key, or goes on with one that was begun, in the background. While this node is at it, a second request is
/// refused (409).
#[utoipa::path(
    post, path = "/api/v1/master-key/rotate", operation_id = "v1.master-key.rotate", tag = "Key", summary = "Rotate Master Key",
    responses(Errors, (status = 202, description = "It runs", body = RotationOut))
)]
async fn rotate(State(api): State<Shared>, caller: Caller) -> Result<(StatusCode, axum::Json<RotationOut>), Problem> {
    operator(&api, &caller)?;
    let mut claim = Claim::of(&api.rotating)?;
    api.engine.note(AuditAction::Updated, "master_key", None).await?;
    claim.before = None;
    drop(claim);
    let begun = api.rotating.0.lock().clone();
    tracing::info!(key = ?caller.key, "the master key is being rotated");
    tokio::spawn(async move {
        let ended = whole(&api.engine, &api.rotating).await;
        let mut state = api.rotating.0.lock();
        (state.running, state.done) = (false, ended.is_ok());
        state.error = ended.err().map(|error| error.to_string());
        match &state.error {
            None => tracing::info!(resealed = state.resealed, "the master key was rotated"),
            Some(error) => tracing::error!(%error, "the rotation of the master key stopped"),
        }
    });
    Ok((StatusCode::ACCEPTED, axum::Json(begun)))
}

/// All steps, from wherever an earlier rotation stopped.
async fn whole(engine: &Arc<Engine>, state: &Rotating) -> Result<(), Stopped> {
    let rotation = begun(engine).await?;
    engine.follow_rotation().await?.map_err(Stopped::Keys)?;
    // Other nodes hear of the key before they meet what it seals.
    tokio::time::sleep(STEP).await;
    for round in 0.. {
        if round >= ROUNDS {
            return Err(Stopped::Busy);
        }
        let done = resealed(engine, state).await?;
        if done == 0 && round > 0 {
            break;
        }
        tokio::time::sleep(STEP).await;
    }
    if let Some(file) = engine.key_file() {
        file.prove(&engine.vault).await.map_err(Stopped::Keys)?;
    }
    ended(engine, &rotation).await?;
    engine.follow_rotation().await?.map_err(Stopped::Keys)
}

/// Ends that rotation and no other: the old key is needed no more.
async fn ended(engine: &Engine, rotation: &Rotation) -> Result<(), Stopped> {
    loop {
        let Some((current, revision)) = stored(engine).await? else { return Err(Stopped::Overtaken) };
        if current.began_at != rotation.began_at {
            return Err(Stopped::Overtaken);
        }
        // Another node that went on with the same one was first.
        if current.ended {
            return Ok(());
        }
        let key = engine.vault.open_text(ROTATION_PURPOSE, &current.key)?;
        // Whoever has the old key and a copy of the store is not to find the new one in it.
        let key = engine.vault.seal(&engine.random, ROTATION_PURPOSE, key.as_bytes())?;
        let over = Record::Rotation(Rotation { key, ended: true, ..current });
        match engine.store.change(vec![Change::Replace(over, revision)], engine.clock.now()).await {
            Ok(()) => return Ok(()),
            Err(StoreError::Stale) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The rotation that is kept, with its revision.
async fn stored(engine: &Engine) -> Result<Option<(Rotation, u64)>, StoreError> {
    let found = engine.store.find(&Address::rotation(), engine.clock.now()).await?;
    Ok(found.and_then(|found| match found.record {
        Record::Rotation(rotation) => Some((rotation, found.revision)),
        _ => None,
    }))
}

/// The rotation that is under way, or a new one.
async fn begun(engine: &Engine) -> Result<Rotation, Stopped> {
    let now = engine.clock.now();
    loop {
        let last = match stored(engine).await? {
            Some((rotation, _)) if !rotation.ended => return Ok(rotation),
            last => last,
        };
        // The next key is sealed under the last one's, which this node may have yet to hear of.
        engine.follow_rotation().await?.map_err(Stopped::Keys)?;
        let key = Vault::new_key(&engine.random);
        let key = engine.vault.seal(&engine.random, ROTATION_PURPOSE, key.as_bytes())?;
        let rotation = Rotation { key, began_at: now, ended: false };
        let record = Record::Rotation(rotation.clone());
        let change = match last {
            Some((_, revision)) => Change::Replace(record, revision),
            None => Change::Insert(record),
        };
        match engine.store.change(vec![change], now).await {
            Ok(()) => return Ok(rotation),
            // Another node was first.
            Err(StoreError::Conflict(Conflict::Record(_)) | StoreError::Stale) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Seals anew what the current key has not sealed; how many records that were.
async fn resealed(engine: &Engine, state: &Rotating) -> Result<u64, Stopped> {
    let (mut done, now) = (0, engine.clock.now());
    for kind in SEALED_KINDS {
        let mut old: Vec<Address> = Vec::new();
        let mut look = |stored: crate::store::Stored| {
            let mut record = stored.record;
            // What does not open under any key is no worse under the next.
            if reseal(&mut record, &engine.vault, &engine.random).is_ok_and(|changed| changed) {
                old.push(record.address());
            }
        };
        engine.store.each(kind, now, &mut look).await?;
        for address in old {
            let Some(mut stored) = engine.store.find(&address, engine.clock.now()).await? else { continue };
            if !reseal(&mut stored.record, &engine.vault, &engine.random)? {
                continue;
            }
            match engine.store.change(vec![Change::Replace(stored.record, stored.revision)], engine.clock.now()).await {
                // Somebody changed it meanwhile: the next round finds it again if need be.
                Ok(()) | Err(StoreError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
            done += 1;
            state.0.lock().resealed += 1;
        }
    }
    Ok(done)
}

/// Seals anew what a record holds; whether anything was.
fn reseal(record: &mut Record, vault: &Vault, random: &Random) -> Result<bool, VaultError> {
    let mut changed = false;
    let mut renew = |purpose: &str, sealed: &mut Sealed| -> Result<(), VaultError> {
        if let Some(fresh) = vault.reseal(random, purpose, sealed)? {
            (*sealed, changed) = (fresh, true);
        }
        Ok(())
    };
    match record {
        Record::Organization(organization) => organization.proxy.iter_mut().try_for_each(|sealed| renew(PROXY_PURPOSE, sealed))?,
        Record::Endpoint(endpoint) => {
            endpoint.headers.values_mut().try_for_each(|sealed| renew(HEADER_PURPOSE, sealed))?;
            endpoint.credentials.iter_mut().try_for_each(|sealed| renew(CREDENTIALS_PURPOSE, sealed))?;
            endpoint.secrets.iter_mut().try_for_each(|secret| renew(SECRET_PURPOSE, &mut secret.sealed))?;
        }
        Record::Source(source) => {
            source.tokens.iter_mut().try_for_each(|token| renew(inbound::TOKEN_PURPOSE, &mut token.sealed))?;
            source.secrets.iter_mut().try_for_each(|secret| renew(inbound::SECRET_PURPOSE, &mut secret.sealed))?;
            source.settings.values_mut().try_for_each(|sealed| renew(inbound::SETTING_PURPOSE, sealed))?;
        }
        Record::Answered(answered) => {
            if let Some(mut sealed) = answered.body.strip_prefix(idempotency::SEALED_MARK).map(|text| Sealed(text.to_owned())) {
                renew(idempotency::ANSWER_PURPOSE, &mut sealed)?;
                answered.body = format!("{}{}", idempotency::SEALED_MARK, sealed.0);
            }
        }
        _ => {}
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::Server;

    #[test]
    fn a_turn_that_is_not_used_is_given_back() {
        let state = Rotating::default();
        let one = Claim::of(&state).unwrap();
        assert!(matches!(Claim::of(&state), Err(Problem::Conflict(_))));
        drop(one);
        let mut used = Claim::of(&state).unwrap();
        used.before = None;
        drop(used);
        assert!(Claim::of(&state).is_err() && state.0.lock().running);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_is_late_neither_ends_the_next_rotation_nor_brings_an_old_key_back() {
        let server = Server::start().await;
        let engine = &server.engine;
        let first = begun(engine).await.unwrap();
        let joined = begun(engine).await.unwrap();
        assert_eq!(first, joined, "a second goes on with the first one's");
        engine.follow_rotation().await.unwrap().unwrap();
        ended(engine, &first).await.unwrap();
        engine.follow_rotation().await.unwrap().unwrap();
        // Who went on with it finds that it has ended.
        ended(engine, &joined).await.unwrap();
        assert_eq!(engine.vault.keys(), 1);
        let sealed = engine.vault.seal(&engine.random, SECRET_PURPOSE, b"kept").unwrap();

        let second = begun(engine).await.unwrap();
        assert_ne!(second.key, first.key);
        engine.follow_rotation().await.unwrap().unwrap();
        let late = Rotation { began_at: crate::model::Time(first.began_at.0.saturating_sub(1)), ..first };
        assert!(matches!(ended(engine, &late).await, Err(Stopped::Overtaken)));
        engine.follow_rotation().await.unwrap().unwrap();
        assert_eq!(engine.vault.keys(), 2, "both keys are needed until the second has ended");
        assert_eq!(engine.vault.open_text(SECRET_PURPOSE, &sealed).unwrap().as_str(), "kept");
        assert!(engine.vault.reseal(&engine.random, SECRET_PURPOSE, &sealed).unwrap().is_some(), "the second's key is in front");

        // What is kept of an ended rotation does not open under the key before.
        let old = Vault::from_text(engine.vault.text().lines().last().unwrap()).unwrap();
        ended(engine, &second).await.unwrap();
        let (kept, _) = stored(engine).await.unwrap().unwrap();
        assert!(kept.ended && old.open(ROTATION_PURPOSE, &kept.key).is_err() && old.open(ROTATION_PURPOSE, &second.key).is_ok());
    }
}

//! `/api/v1/master-key`: another master key takes the place of the one in force, while everything runs. Ours, not of the
//! compatible contract.
//!
//! The new key is stored, sealed under the old one; every node takes it over, into its file first; every sealed value is
//! sealed anew; then the old key is forgotten everywhere. Each step can be repeated, so a rotation that was cut short goes
//! on when it is asked for again, and both keys are at hand until it has ended.

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
}

/// The state of this node's rotation.
#[derive(Debug, Default)]
pub struct Rotating(Mutex<RotationOut>);

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
    let unfinished = api.engine.store.find(&Address::rotation(), api.engine.clock.now()).await?.is_some();
    let state = api.rotating.0.lock().clone();
    Ok(axum::Json(RotationOut { unfinished, ..state }))
}

/// Rotate Master Key.
///
/// Makes a new master key, or goes on with one that was begun, in the background.
#[utoipa::path(
    post, path = "/api/v1/master-key/rotate", operation_id = "v1.master-key.rotate", tag = "Key", summary = "Rotate Master Key",
    responses(Errors, (status = 202, description = "It runs", body = RotationOut))
)]
async fn rotate(State(api): State<Shared>, caller: Caller) -> Result<(StatusCode, axum::Json<RotationOut>), Problem> {
    operator(&api, &caller)?;
    api.engine.note(AuditAction::Updated, "master_key", None).await?;
    let begun = RotationOut { running: true, ..RotationOut::default() };
    {
        let mut state = api.rotating.0.lock();
        if state.running {
            return Ok((StatusCode::ACCEPTED, axum::Json(state.clone())));
        }
        *state = begun.clone();
    }
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
    engine.adopt_key(&rotation).map_err(Stopped::Keys)?;
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
    engine.store.change(vec![Change::Delete(Address::rotation())], engine.clock.now()).await?;
    engine.retire_keys().map_err(Stopped::Keys)
}

/// The rotation that is under way, or a new one.
async fn begun(engine: &Engine) -> Result<Rotation, Stopped> {
    let now = engine.clock.now();
    loop {
        if let Some(stored) = engine.store.find(&Address::rotation(), now).await?
            && let Record::Rotation(rotation) = stored.record
        {
            return Ok(rotation);
        }
        let key = Vault::new_key(&engine.random);
        let key = engine.vault.seal(&engine.random, ROTATION_PURPOSE, key.as_bytes())?;
        let rotation = Rotation { key, began_at: now };
        match engine.store.change(vec![Change::Insert(Record::Rotation(rotation.clone()))], now).await {
            Ok(()) => return Ok(rotation),
            // Another node was first.
            Err(StoreError::Conflict(Conflict::Record(_))) => {}
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

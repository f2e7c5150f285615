//! HTTP Message Signatures (RFC 9421) with digests of the body (RFC 9530).
//!
//! The receiver pins what a request may not choose, by settings: `alg` (if it is absent, what the secret is for: `hmac-sha256`
//! with base64, `ed25519`, `ecdsa-…` or `rsa-pss-sha512` with the PEM text of such a key), `keyid`, `label`, and `required`: the components that must be signed, separated by spaces (`@method content-digest`). A `Content-Digest` is checked
//! against the body whether it is signed or not; only a signed one protects the body. The id in the header `webhook-id` counts only
//! if it is signed. Not supported, and refused: the parameters `sf`, `key`, `bs`, `tr` and `req` of a component, and `@status`.

mod components;

use crate::special::Signed;
use crate::special::certificate::{Algorithm, PublicKey, pem_section, rsa_sha256};
use crate::special::structured::{Bare, Item, Member, Parameters, dictionary, write_list};
use crate::special::text::{base64, check_instant, check_mac, mac_key, to_base64};
use crate::{Refusal, Request, Verified};
use components::{check_digest, joined, signature_base};
use ring::signature::Ed25519KeyPair;
use ring::{digest, hmac};
use std::collections::BTreeMap;

const INPUT: &str = "Signature-Input";
const SIGNATURE: &str = "Signature";
const DIGEST: &str = "Content-Digest";
/// The header that is taken for the event's id, if it is signed.
const ID: &str = "webhook-id";
/// Signatures of one request that are looked at.
const SIGNATURES: usize = 8;

/// What a shared secret is for.
const MAC: &str = "hmac-sha256";
/// What public keys are for, by the names of RFC 9421, section 6.2.2.
const NAMES: [(&str, Algorithm); 5] = [
    ("ed25519", Algorithm::Ed25519),
    ("ecdsa-p256-sha256", Algorithm::EcdsaP256),
    ("ecdsa-p384-sha384", Algorithm::EcdsaP384),
    ("rsa-pss-sha512", Algorithm::RsaPssSha512),
    ("rsa-v1_5-sha256", Algorithm::RsaSha256),
];

type Settings = BTreeMap<String, String>;

/// What verifies.
enum Pinned {
    Mac(hmac::Key),
    Key(Algorithm, PublicKey),
}

pub(crate) fn verify(request: &Request<'_>, secret: &str, settings: &Settings, now_ms: u64) -> Result<Verified, Refusal> {
    let input = joined(request, INPUT).ok_or(Refusal::MissingHeader(INPUT.into()))?;
    let signatures = joined(request, SIGNATURE).ok_or(Refusal::MissingHeader(SIGNATURE.into()))?;
    let inputs = dictionary(&input).ok_or(Refusal::Malformed(INPUT.into(), "it is not a structured dictionary"))?;
    let signatures = dictionary(&signatures).ok_or(Refusal::Malformed(SIGNATURE.into(), "it is not a structured dictionary"))?;
    let (algorithm, pinned) = pinned(secret, settings)?;
    check_digest(request)?;
    let wanted = settings.get("label");
    let mut refusal = Refusal::Mismatch;
    for (label, member) in inputs.iter().filter(|(label, _)| wanted.is_none_or(|wanted| wanted == label)).take(SIGNATURES) {
        let Member::List(items, parameters) = member else {
            return Err(Refusal::Malformed(INPUT.into(), "its members must be lists of components"));
        };
        let Some((_, Member::One(Item { value: Bare::Bytes(signature), .. }))) = signatures.iter().find(|(name, _)| name == label)
        else {
            return Err(Refusal::Malformed(SIGNATURE.into(), "it has no bytes for a label of Signature-Input"));
        };
        match judge(request, (items, parameters, algorithm), settings, now_ms) {
            Ok((base, verified)) => match check(&pinned, base.as_bytes(), signature) {
                Ok(()) => return Ok(verified),
                Err(other) => refusal = other,
            },
            Err(other) => refusal = other,
        }
    }
    Err(refusal)
}

/// Everything about a signature but the signature: its base, and what it would prove.
fn judge(
    request: &Request<'_>,
    (items, parameters, algorithm): (&[Item], &Parameters, &str),
    settings: &Settings,
    now_ms: u64,
) -> Result<(String, Verified), Refusal> {
    if let Some(stated) = text(parameters, "alg")?
        && stated != algorithm
    {
        return Err(Refusal::WrongAlgorithm(stated.chars().take(40).collect::<String>().into()));
    }
    let keyid = text(parameters, "keyid")?;
    if settings.get("keyid").is_some_and(|expected| keyid != Some(expected)) {
        return Err(Refusal::UnknownKey);
    }
    let covers = |name: &str| items.iter().any(|item| item.value == Bare::Text(name.to_ascii_lowercase()));
    for name in settings.get("required").map(String::as_str).unwrap_or_default().split_ascii_whitespace() {
        if !covers(name) {
            return Err(Refusal::Malformed(INPUT.into(), "it does not cover a component that the setting required names"));
        }
    }
    let created = instant(parameters, "created")?;
    created.map_or(Ok(()), |created| check_instant(created, now_ms, settings))?;
    if instant(parameters, "expires")?.is_some_and(|expires| expires < now_ms) {
        return Err(Refusal::Stale);
    }
    let event_id = if covers(ID) { joined(request, ID) } else { None };
    let base = signature_base(request, items, &write_list(items, parameters))?;
    Ok((base, Verified { event_id, timestamp_ms: created, ..Verified::default() }))
}

pub(crate) fn sign(request: &Request<'_>, now_ms: u64, secret: &str, settings: &Settings) -> Result<Signed, Refusal> {
    let algorithm = settings.get("alg").map_or(MAC, String::as_str);
    let digest = format!("sha-256=:{}:", to_base64(digest::digest(&digest::SHA256, request.body).as_ref()));
    let mut names = vec!["@method", "@target-uri", "content-digest"];
    names.extend(["content-type", ID].into_iter().filter(|name| request.header(name).is_some()));
    let required = settings.get("required").map(String::as_str).unwrap_or_default();
    names.extend(required.split_ascii_whitespace());
    let mut items: Vec<Item> = Vec::new();
    for name in names {
        let item = Item { value: Bare::Text(name.to_ascii_lowercase()), parameters: Vec::new() };
        if !items.contains(&item) {
            items.push(item);
        }
    }
    let mut parameters = vec![("created".to_owned(), Bare::Whole(i64::try_from(now_ms / 1000).unwrap_or_default()))];
    parameters.extend(settings.get("keyid").map(|keyid| ("keyid".to_owned(), Bare::Text(keyid.clone()))));
    parameters.push(("alg".to_owned(), Bare::Text(algorithm.to_owned())));
    let list = write_list(&items, &parameters);
    let mut headers: Vec<(&str, &[u8])> = vec![(DIGEST, digest.as_bytes())];
    headers.extend(request.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(DIGEST)));
    let base = signature_base(&Request { headers: &headers, ..*request }, &items, &list)?;
    let signature = make(algorithm, secret, base.as_bytes())?;
    let label = settings.get("label").map_or("sig1", String::as_str);
    let signed = Signed::default().header(DIGEST, digest.clone()).header(INPUT, format!("{label}={list}"));
    Ok(signed.header(SIGNATURE, format!("{label}=:{}:", to_base64(&signature))))
}

/// What the setting `alg` pins, or, without one, what the secret is good for. The request has no say in it.
fn pinned(secret: &str, settings: &Settings) -> Result<(&'static str, Pinned), Refusal> {
    let secret = secret.trim();
    let stated = settings.get("alg").map(String::as_str);
    if stated.unwrap_or(MAC) == MAC && !secret.starts_with("-----") {
        return Ok((MAC, Pinned::Mac(mac(secret)?)));
    }
    let raw = base64(secret.as_bytes()).and_then(|bytes| bytes.try_into().ok());
    let key = raw.map_or_else(|| PublicKey::parse(secret), |bytes| Ok(PublicKey::ed25519(bytes)))?;
    let usual = key.usual();
    let found = NAMES.iter().find(|(name, algorithm)| stated.map_or(*algorithm == usual, |stated| *name == stated));
    let (name, algorithm) =
        found.ok_or(Refusal::Malformed("the setting alg".into(), "this kind of secret has no such algorithm"))?;
    Ok((name, Pinned::Key(*algorithm, key)))
}

fn mac(secret: &str) -> Result<hmac::Key, Refusal> {
    let bytes = base64(secret.trim().as_bytes()).ok_or(Refusal::BadSecret("it is not base64"))?;
    mac_key(hmac::HMAC_SHA256, &bytes)
}

fn check(pinned: &Pinned, base: &[u8], signature: &[u8]) -> Result<(), Refusal> {
    match pinned {
        Pinned::Mac(key) => check_mac(key, base, signature),
        Pinned::Key(algorithm, key) => key.verify(*algorithm, base, signature),
    }
}

fn make(algorithm: &str, secret: &str, base: &[u8]) -> Result<Vec<u8>, Refusal> {
    match algorithm {
        MAC => Ok(hmac::sign(&mac(secret)?, base).as_ref().to_vec()),
        "rsa-v1_5-sha256" => rsa_sha256(secret, base),
        "ed25519" => {
            let Some(("PRIVATE KEY", der)) = pem_section(secret) else {
                return Err(Refusal::BadSecret("signing needs the PEM text of a PRIVATE KEY"));
            };
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der);
            let pair = pair.map_err(|_| Refusal::BadSecret("it is not an Ed25519 private key"))?;
            Ok(pair.sign(base).as_ref().to_vec())
        }
        _ => Err(Refusal::BadSecret("signing with this algorithm is not supported: its signatures need randomness")),
    }
}

fn text<'p>(parameters: &'p Parameters, name: &str) -> Result<Option<&'p String>, Refusal> {
    match parameters.iter().find(|(known, _)| known == name) {
        None => Ok(None),
        Some((_, Bare::Text(text))) => Ok(Some(text)),
        Some(_) => Err(Refusal::Malformed(INPUT.into(), "the parameters alg and keyid must be strings")),
    }
}

fn instant(parameters: &Parameters, name: &str) -> Result<Option<u64>, Refusal> {
    let seconds = match parameters.iter().find(|(known, _)| known == name) {
        None => return Ok(None),
        Some((_, Bare::Whole(seconds))) => u64::try_from(*seconds).ok(),
        Some(_) => None,
    };
    let ms = seconds.map(|seconds| seconds.saturating_mul(1000));
    ms.map(Some).ok_or(Refusal::Malformed(INPUT.into(), "created and expires must be seconds since the epoch"))
}

//! `…/verify`: judges a request without receiving it.

use super::store;
use crate::{
    api::{Base, Caller, Errors, Json, Path, Problem, Shared, Stamp, rules::Check},
    inbound::{Compiled, Rules},
    model::{LATEST, Time},
};
use axum::extract::State;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use postrider_signature::{Request, Verified};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// Headers of a request at most.
const MAX_HEADERS: usize = 200;
/// The longest URL, in bytes.
pub(super) const MAX_URL: usize = 64 * 1024;
/// The longest method, in characters.
pub(super) const MAX_METHOD: usize = 32;
/// The longest body for which likely mistakes are looked for, in bytes: it is signed some hundred times.
const MAX_EXPLAINED: usize = 64 * 1024;

/// Other sources of the application whose secrets are tried.
const MAX_OTHERS: usize = 16;

/// A request to be judged.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SourceVerifyIn {
    /// The method.
    #[schema(default = "POST")]
    method: Option<String>,
    /// The URL that the sender called, with its query. By default the source's.
    url: Option<String>,
    /// The headers: an object, or a list of pairs where a name is repeated.
    #[serde(default)]
    #[schema(value_type = Object)]
    headers: Value,
    /// The body, as text.
    body: Option<String>,
    /// The body, in base64, where it is no text.
    body_base64: Option<String>,
    /// The instant at which it is judged; by default now.
    #[schema(value_type = Option<String>, format = DateTime)]
    now: Option<Stamp>,
}

/// The judgement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SourceVerifyOut {
    /// Whether the request is genuine.
    valid: bool,
    /// Why not: a word that stays the same (`mismatch`, `stale`, `missing_header`, …).
    reason: Option<String>,
    /// Why not, in words.
    detail: Option<String>,
    /// The sender's id of the event.
    event_id: Option<String>,
    /// The sender's name of the event's type, without the source's prefix.
    event_type: Option<String>,
    /// The instant that was signed.
    #[schema(value_type = Option<String>, format = DateTime)]
    timestamp: Option<Stamp>,
    /// Mistakes that would explain a refusal, the most certain first, what was expected, and what came. Not looked for when the
    /// body is over 64 KiB. Of a genuine request: that its sender still signs with an old secret.
    hints: Vec<SourceVerifyHint>,
}

/// A likely mistake.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct SourceVerifyHint {
    /// A word that stays the same: `secret_encoding`, `body_changed`, `timestamp_unit`, …
    code: String,
    /// What to do.
    text: String,
}

/// Judges a request by the source's rules and secrets without receiving it: nothing is recorded, and a request that was
/// received before is judged as any other.
#[utoipa::path(
    post,
    path = "/api/v1/source/{source_id}/verify",
    operation_id = "v1.source.verify",
    tag = "Source",
    params(("source_id" = String, Path, description = "The source's id or uid")),
    request_body = SourceVerifyIn,
    responses(Errors, (status = 200, description = "The judgement", body = SourceVerifyOut))
)]
pub(super) async fn verify(
    State(api): State<Shared>,
    (caller, base): (Caller, Base),
    Path(source): Path<String>,
    body: Json<SourceVerifyIn>,
) -> Result<axum::Json<SourceVerifyOut>, Problem> {
    let source = store::find(&api, &caller, &source).await?;
    let given = body.value;
    let url = match &given.url {
        Some(url) => url.clone(),
        None => store::url(&api, &base, &source)?.to_string(),
    };
    let method = given.method.as_deref().unwrap_or("POST").to_ascii_uppercase();
    let mut check = Check::new();
    check.rule(url.len() <= MAX_URL, &["body", "url"], "length", format!("It has at most {MAX_URL} bytes."));
    check.rule((1..=MAX_METHOD).contains(&method.len()), &["body", "method"], "length", "It has 1 to 32 characters.");
    check.done()?;
    let headers = headers(&given.headers)?;
    let payload = payload(given.body, given.body_base64)?;
    let borrowed: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request = Request { method: &method, url: &url, headers: &borrowed, body: &payload };
    let now = given.now.map_or_else(|| api.engine.clock.now(), |stamp| stamp.0);
    let source = store::compiled(&api, &source)?;
    let mut judgement = judged(&source, &request, now);
    if !judgement.valid && request.body.len() <= MAX_EXPLAINED {
        let elsewhere = elsewhere(&api.inbound.sources.of_app(&source.source, MAX_OTHERS), &source, (&request, now));
        judgement.explained_by(elsewhere);
    }
    Ok(axum::Json(judgement))
}

fn judged(source: &Compiled, request: &Request<'_>, now: Time) -> SourceVerifyOut {
    match source.verify(request, now) {
        Ok(Verified { event_id, event_type, timestamp_ms, secret }) => SourceVerifyOut {
            valid: true,
            hints: still_old(source, secret, now).into_iter().collect(),
            event_id,
            event_type,
            timestamp: timestamp_ms.map(|ms| Stamp(Time(ms))),
            ..SourceVerifyOut::default()
        },
        Err(refusal) => SourceVerifyOut {
            reason: Some(refusal.code().to_owned()),
            detail: Some(refusal.to_string()),
            hints: hints(source, request, now),
            ..SourceVerifyOut::default()
        },
    }
}

/// That a genuine request was signed with a secret that runs out.
fn still_old(source: &Compiled, secret: usize, now: Time) -> Option<SourceVerifyHint> {
    let end = source.ends(now).nth(secret).filter(|end| *end < LATEST)?;
    let text = format!("It is signed with the old secret, which is taken until {end}: set the new one at the sender before.");
    Some(SourceVerifyHint { code: "old_secret".to_owned(), text })
}

/// That a secret which has run out, or one of another source of the application, explains the signature.
fn elsewhere(others: &[Arc<Compiled>], source: &Compiled, (request, now): (&Request<'_>, Time)) -> Option<SourceVerifyHint> {
    let signs = |secrets: &[&str]| {
        let verifier = source.rules.verifier(secrets, &source.settings);
        verifier.is_ok_and(|verifier| verifier.verify(request, now.0).is_ok())
    };
    let past = source.past(now);
    if !past.is_empty() && signs(&past) {
        let text = "It is signed with an old secret, which is not taken any more: set the current one at the sender.".to_owned();
        return Some(SourceVerifyHint { code: "old_secret".to_owned(), text });
    }
    let of_other = |other: &&Arc<Compiled>| {
        let secrets = other.secrets(now);
        !secrets.is_empty() && signs(&secrets)
    };
    let other = &others.iter().find(of_other)?.source;
    let name = if other.name.is_empty() { other.id.to_string() } else { format!("\"{}\" ({})", other.name, other.id) };
    let text = format!(
        "It is signed with the secret of the source {name} of the same application: are test and live mixed up? Let the sender call that one's URL, or set this one's secret there."
    );
    Some(SourceVerifyHint { code: "other_source".to_owned(), text })
}

impl SourceVerifyOut {
    /// Puts what explains a refusal in front, and takes away that nothing does.
    fn explained_by(&mut self, hint: Option<SourceVerifyHint>) {
        let Some(hint) = hint else { return };
        self.hints.retain(|other| !matches!(other.code.as_str(), "unexplained" | "expected"));
        self.hints.insert(0, hint);
    }
}

/// What is likely to be wrong.
fn hints(source: &Compiled, request: &Request<'_>, now: Time) -> Vec<SourceVerifyHint> {
    let secrets = source.secrets(now);
    if source.source.awaits_secret && secrets.is_empty() {
        let text = "The source has no secret yet: the sender's first request is to bring it.".to_owned();
        return vec![SourceVerifyHint { code: "no_secret".to_owned(), text }];
    }
    if request.body.len() > MAX_EXPLAINED {
        return Vec::new();
    }
    let hints = match &source.rules {
        Rules::Provider(provider) => provider.explain(&secrets, &source.settings, request, now.0),
        Rules::Custom(scheme) => scheme.explain(&secrets, &source.settings, request, now.0),
    };
    hints.into_iter().map(|hint| SourceVerifyHint { code: hint.code.to_owned(), text: hint.text }).collect()
}

/// The headers of either form.
fn headers(given: &Value) -> Result<Vec<(String, String)>, Problem> {
    let fault = |rule: &'static str| Problem::field(&["body", "headers"], "type_error", rule);
    let shape = || fault("An object of names and texts, or a list of pairs [name, text].");
    let pairs: Vec<(String, String)> = match given {
        Value::Null => Vec::new(),
        Value::Object(map) => {
            let pair = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
            map.iter().map(pair).collect::<Option<_>>().ok_or_else(shape)?
        }
        Value::Array(list) => {
            let pair = |entry: &Value| match entry.as_array().map(Vec::as_slice) {
                Some([name, value]) => Some((name.as_str()?.to_owned(), value.as_str()?.to_owned())),
                _ => None,
            };
            list.iter().map(pair).collect::<Option<_>>().ok_or_else(shape)?
        }
        _ => return Err(shape()),
    };
    if pairs.len() > MAX_HEADERS { Err(fault("At most 200 headers.")) } else { Ok(pairs) }
}

fn payload(text: Option<String>, base64: Option<String>) -> Result<Vec<u8>, Problem> {
    match (text, base64) {
        (Some(_), Some(_)) => {
            Err(Problem::field(&["body", "bodyBase64"], "exclusive", "Either a body as text or in base64, not both."))
        }
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(base64)) => {
            let rule = |_| Problem::field(&["body", "bodyBase64"], "base64", "It is not base64 (RFC 4648, section 4).");
            STANDARD.decode(base64).map_err(rule)
        }
        (None, None) => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::Vault,
        inbound::SECRET_PURPOSE,
        model::{AppId, OrgId, Secret, Source, SourceAnswer, SourceId, SourceScheme},
        random::Random,
    };
    use postrider_signature::{Settings, Unsigned, provider};
    use serde_json::json;

    #[test]
    fn headers_come_in_two_forms() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(headers(&json!({"A": "b"})).unwrap(), [pair("A", "b")]);
        assert_eq!(headers(&json!([["A", "b"], ["A", "c"]])).unwrap(), [pair("A", "b"), pair("A", "c")]);
        assert!(headers(&Value::Null).unwrap().is_empty());
        for bad in [json!("a"), json!({"A": 1}), json!([["A"]]), json!([{"A": "b"}]), json!(vec![["A", "b"]; MAX_HEADERS + 1])] {
            assert!(headers(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_body_comes_in_one_form() {
        assert_eq!(payload(Some("é".into()), None).unwrap(), "é".as_bytes());
        assert_eq!(payload(None, Some("/wA=".into())).unwrap(), [0xff, 0x00]);
        assert!(payload(None, None).unwrap().is_empty());
        assert!(payload(Some(String::new()), Some(String::new())).is_err() && payload(None, Some("?".into())).is_err());
    }

    fn given(id: u128, secrets: &[(&str, Option<u64>)]) -> Compiled {
        let random = Random::seeded(u64::try_from(id).unwrap());
        let vault = Vault::from_text(&Vault::new_key(&random)).unwrap();
        let secret = |(text, end): &(&str, Option<u64>)| Secret {
            sealed: vault.seal(&random, SECRET_PURPOSE, text.as_bytes()).unwrap(),
            created_at: Time(0),
            expires_at: end.map(Time),
        };
        let source: Source = serde_json::from_value(json!({
            "id": SourceId(id), "org": OrgId(1), "app": AppId(7), "app_owned": false, "uid": null, "name": "Live", "description": null,
            "label": null, "scheme": SourceScheme::Provider("github".into()), "alternatives": [],
            "secrets": secrets.iter().map(secret).collect::<Vec<_>>(), "settings": {}, "tokens": [], "methods": ["POST"],
            "max_body": 1024, "allow_cidrs": [], "answer": SourceAnswer { status: 200, headers: Default::default(), body: String::new() },
            "dedup_window_s": 0, "event_type_prefix": "", "forward_headers": [], "split": false, "listed": [], "closed": null,
            "forward": null, "system": null, "paused": null, "awaits_secret": false, "metadata": {}, "created_at": Time(0),
            "updated_at": Time(0),
        }))
        .unwrap();
        Compiled::new(source, &vault, Arc::default()).unwrap()
    }

    /// What is said of a request that was signed with a secret: the hints' codes, and the first one's text.
    fn told(source: &Compiled, others: &[Arc<Compiled>], (secret, now): (&str, u64)) -> (bool, Vec<String>, String) {
        let unsigned = Unsigned { method: "POST", url: "", headers: &[], body: b"{}", id: "1", timestamp_ms: now };
        let signed = provider("github").unwrap().sign(secret, &Settings::new(), &unsigned).unwrap();
        let headers: Vec<(&str, &[u8])> = signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = Request { method: "POST", url: "", headers: &headers, body: b"{}" };
        let mut judgement = judged(source, &request, Time(now));
        if !judgement.valid {
            judgement.explained_by(elsewhere(others, source, (&request, Time(now))));
        }
        let text = judgement.hints.first().map(|hint| hint.text.clone()).unwrap_or_default();
        (judgement.valid, judgement.hints.into_iter().map(|hint| hint.code).collect(), text)
    }

    #[test]
    fn old_secrets_and_those_of_other_sources_explain_a_signature() {
        let source = given(1, &[("the old secret", Some(1_000)), ("the new secret", None)]);
        let others = [Arc::new(given(2, &[("a live secret", None)]))];
        assert_eq!(told(&source, &others, ("the new secret", 500)).1, [""; 0]);
        let (valid, codes, text) = told(&source, &others, ("the old secret", 500));
        assert!(valid && codes == ["old_secret"] && text.contains("is taken until 1970-01-01T00:00:01"), "{text}");
        let (valid, codes, text) = told(&source, &others, ("the old secret", 2_000));
        assert!(!valid && codes == ["old_secret"] && text.contains("not taken any more"), "{codes:?}: {text}");
        let (valid, codes, text) = told(&source, &others, ("a live secret", 500));
        assert!(!valid && codes == ["other_source"] && text.contains("\"Live\""), "{codes:?}: {text}");
        assert_eq!(told(&source, &others, ("nobody's", 500)).1, ["expected", "unexplained"]);
    }
}

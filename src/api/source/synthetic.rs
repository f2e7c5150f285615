//! A synthetic event: a request as the sender of a source would make it, correctly signed. Pure.
//!
//! Where the event's id and type are put is read from the scheme itself, in the words in which schemes are written
//! (`header:X-GitHub-Event`, `body:type`, `body:resource + body:action`).

use crate::{
    api::Problem,
    inbound::{Arrival, Compiled, Head, Rules},
    model::Time,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{CONTENT_TYPE, USER_AGENT},
};
use postrider_signature::{Refusal, Signed, Unsigned};
use serde_json::{Map, Value, json};
use std::net::{IpAddr, Ipv4Addr};

/// What synthetic requests say of themselves.
const AGENT: HeaderValue = HeaderValue::from_static("Postrider-Test");
/// The one content type that they have.
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// From where they come.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What a synthetic event is to be.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// The sender's name of its type.
    pub(super) event_type: Option<String>,
    /// Its payload; absent: one is made.
    pub(super) payload: Option<Value>,
    /// The sender's id of it.
    pub(super) id: String,
}

/// The signed request.
///
/// # Errors
/// Only the sender can sign, the secret is not there yet; the type has no place in a request of this sender's, or the payload is
/// not one that it signs.
pub(super) fn request(source: &Compiled, wanted: Wanted, url: String, now: Time) -> Result<Arrival, Problem> {
    let secret = secret(source, now)?;
    let mut draft = Draft { payload: wanted.payload, headers: HeaderMap::new() };
    draft.headers.insert(CONTENT_TYPE, JSON);
    draft.headers.insert(USER_AGENT, AGENT);
    let fresh = draft.payload.is_none();
    let mut element = draft.payload.take().unwrap_or_else(|| json!({"test": true}));
    if fresh {
        draft.place(&mut element, &places(source, "id"), &wanted.id);
    }
    if let Some(event_type) = &wanted.event_type
        && !draft.place(&mut element, &places(source, "type"), event_type)
    {
        let rule = "This sender's requests have no place for such a type: write it into the payload as the sender does.";
        return Err(Problem::field(&["body", "eventType"], "type", rule));
    }
    let payload = if fresh { batched(source, element) } else { element };
    let body = payload.to_string();
    if body.len() > usize::try_from(source.source.max_body).unwrap_or(usize::MAX) {
        return Err(Problem::field(&["body", "payload"], "length", "It is longer than the source's `maxBody`."));
    }
    let method = source.source.methods.iter().find(|method| *method == "POST").or(source.source.methods.first());
    let method = method.and_then(|method| Method::from_bytes(method.as_bytes()).ok()).unwrap_or(Method::POST);
    let fields: Vec<(&str, &[u8])> = draft.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let unsigned = Unsigned {
        method: method.as_str(),
        url: &url,
        headers: &fields,
        body: body.as_bytes(),
        id: &wanted.id,
        timestamp_ms: now.0,
    };
    let signed = sign(source, &secret, &unsigned).map_err(|refusal| refused(&refusal))?;
    let mut headers = draft.headers.clone();
    for (name, value) in &signed.headers {
        let name = HeaderName::try_from(name.as_str()).map_err(|_| Problem::Internal)?;
        let value = HeaderValue::try_from(value.as_str());
        headers.insert(name, value.map_err(|_| refused(&Refusal::BadSecret("it does not fit into a header")))?);
    }
    let head = Head { method, url: signed.url.unwrap_or(url), headers, remote: HERE };
    Ok(Arrival { head, body: signed.body.map_or_else(|| Bytes::from(body), Bytes::from) })
}

/// The secret to sign with.
fn secret(source: &Compiled, now: Time) -> Result<String, Problem> {
    if !source.rules.symmetric() {
        return Err(Problem::conflict("Only the sender can sign: the source has its public key or certificate."));
    }
    match source.secrets(now).first() {
        Some(secret) => Ok((*secret).to_owned()),
        None if source.source.awaits_secret => Err(Problem::conflict("The source has no secret yet.")),
        None => Ok(String::new()),
    }
}

fn sign(source: &Compiled, secret: &str, unsigned: &Unsigned<'_>) -> Result<Signed, Refusal> {
    match &source.rules {
        Rules::Provider(provider) => provider.sign(secret, &source.settings, unsigned),
        Rules::Custom(scheme) => scheme.sign(secret, &source.settings, unsigned),
    }
}

fn refused(refusal: &Refusal) -> Problem {
    Problem::field(&["body", "payload"], "signing", format!("It cannot be signed as this sender does: {refusal}."))
}

/// A request that is being put together.
struct Draft {
    payload: Option<Value>,
    headers: HeaderMap,
}

impl Draft {
    /// Puts a text where the first of the places that can hold it says; whether one could.
    fn place(&mut self, element: &mut Value, places: &[String], text: &str) -> bool {
        places.iter().any(|place| {
            let spots: Vec<&str> = place.split(" + ").map(str::trim).collect();
            let texts: Vec<&str> = text.splitn(spots.len(), '.').collect();
            let fits = spots.len() == texts.len() && spots.iter().all(|spot| can_hold(spot, element));
            fits && spots.into_iter().zip(texts).all(|(spot, text)| self.put(element, spot, text))
        })
    }

    fn put(&mut self, element: &mut Value, spot: &str, text: &str) -> bool {
        match spot.split_once(':') {
            Some(("header", name)) => match (HeaderName::try_from(name), HeaderValue::try_from(text)) {
                (Ok(name), Ok(value)) => {
                    self.headers.insert(name, value);
                    true
                }
                _ => false,
            },
            Some(("body", path)) => put(element, path, text),
            _ => false,
        }
    }
}

/// Headers hold anything; bodies what has a name in an object.
fn can_hold(spot: &str, element: &Value) -> bool {
    match spot.split_once(':') {
        Some(("header", _)) => true,
        Some(("body", path)) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            element.is_object() && path.chars().all(plain)
        }
        _ => false,
    }
}

fn put(object: &mut Value, path: &str, text: &str) -> bool {
    let Some(members) = object.as_object_mut() else { return false };
    match path.split_once('.') {
        None => {
            members.insert(path.to_owned(), text.into());
            true
        }
        Some((name, rest)) => put(members.entry(name).or_insert_with(|| Value::Object(Map::new())), rest, text),
    }
}

/// Where the sender's requests have an id or a type: alternatives, the first that is there counts.
fn places(source: &Compiled, field: &str) -> Vec<String> {
    let of_batch = source.provider().and_then(|provider| provider.batch.as_ref()).filter(|_| source.source.split);
    let of_batch = of_batch.and_then(|batch| if field == "id" { batch.id.as_ref() } else { batch.event_type.as_ref() });
    if let Some(place) = of_batch {
        return place.to_string().split(", else ").map(str::to_owned).collect();
    }
    let scheme = match &source.rules {
        Rules::Provider(provider) => provider.scheme(),
        Rules::Custom(scheme) => Some(&**scheme),
    };
    match scheme.and_then(|scheme| serde_json::to_value(scheme).ok()).as_mut().and_then(|scheme| scheme.get_mut(field)) {
        Some(Value::String(one)) => vec![std::mem::take(one)],
        Some(Value::Array(several)) => several.iter().filter_map(|place| place.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

/// The element in the array in which a sender of batches puts it.
fn batched(source: &Compiled, element: Value) -> Value {
    match source.provider().and_then(|provider| provider.batch.as_ref()).filter(|_| source.source.split) {
        Some(batch) if batch.elements.is_empty() => Value::Array(vec![element]),
        Some(batch) => batch.elements.rsplit('.').fold(Value::Array(vec![element]), |inner, name| json!({ name: inner })),
        None => element,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::source::{seal::Forge, store},
        crypto::Vault,
        model::{AppId, OrgId, SourceScheme},
        random::Random,
    };
    use postrider_signature::{Request, providers};

    fn draft() -> Draft {
        Draft { payload: None, headers: HeaderMap::new() }
    }

    fn placed(places: &[&str], text: &str) -> Option<(Value, Option<String>)> {
        let (mut draft, mut element) = (draft(), json!({"a": 1}));
        let places: Vec<String> = places.iter().map(|place| (*place).to_owned()).collect();
        let done = draft.place(&mut element, &places, text);
        done.then(|| (element, draft.headers.get("x-type").map(|value| value.to_str().unwrap().to_owned())))
    }

    #[test]
    fn a_type_goes_where_its_sender_puts_it() {
        let plain = json!({"a": 1});
        assert_eq!(placed(&["header:X-Type", "body:type"], "push"), Some((plain.clone(), Some("push".into()))));
        assert_eq!(placed(&["body:event.type"], "a.b"), Some((json!({"a": 1, "event": {"type": "a.b"}}), None)));
        let joined = Some((json!({"a": 1, "action": "made"}), Some("order".into())));
        assert_eq!(placed(&["header:X-Type + body:action"], "order.made"), joined);
        assert_eq!(placed(&["header:X-Type + body:action"], "order"), None, "one part is missing");
        assert_eq!(placed(&["form:type", "body:list[0].type", "body:type"], "x"), Some((json!({"a": 1, "type": "x"}), None)));
        assert_eq!((placed(&[], "x"), placed(&["body:a.b"], "x")), (None, None));
        assert_eq!(placed(&["header:X-Type"], "a\nb"), None);
    }

    /// Providers that sign only payloads of a form of their own, which the asker has to give.
    const OWN_FORM: [&str; 2] = ["adyen", "msgraph"];

    #[test]
    fn what_is_made_for_a_provider_is_genuine_to_it() {
        let random = Random::seeded(11);
        let vault = Vault::from_text(&Vault::new_key(&random)).unwrap();
        let now = Time(1_790_000_000_000);
        let forge = Forge { vault: &vault, random: &random, now };
        let mut failed = Vec::new();
        let mut typed = 0;
        for provider in providers().iter().filter(|provider| provider.symmetric()) {
            let mut source = store::blank(&forge, (OrgId(1), AppId(1), false)).unwrap();
            source.scheme = SourceScheme::Provider(provider.name.clone());
            source.max_body = 1 << 18;
            source.methods = vec!["POST".into()];
            let rules = Rules::Provider(provider);
            let settings = provider.settings.iter().filter(|setting| setting.required).map(|s| (s.name.clone(), "x".to_owned()));
            let settings = settings.collect();
            source.settings = forge.settings(&settings, &Default::default()).unwrap();
            if rules.verifier(&[], &settings).is_err() {
                source.secrets = forge.replace(&[], &[forge.make(&rules, &settings).unwrap()]).unwrap();
            }
            let compiled = Compiled::new(source, &vault, Default::default()).unwrap();
            let ask = |event_type: Option<&str>| {
                let wanted = Wanted { event_type: event_type.map(str::to_owned), payload: None, id: "evt_1".into() };
                let arrival = request(&compiled, wanted, "https://example.com/in/t".into(), now).map_err(|p| format!("{p:?}"))?;
                let fields: Vec<(&str, &[u8])> =
                    arrival.head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
                let request =
                    Request { method: arrival.head.method.as_str(), url: &arrival.head.url, headers: &fields, body: &arrival.body };
                compiled.verify(&request, now).map_err(|refusal| refusal.to_string())
            };
            match ask(None) {
                Ok(_) => {}
                Err(why) => failed.push(format!("{}: {why}", provider.name)),
            }
            typed +=
                usize::from(ask(Some("order.made")).is_ok_and(|verified| verified.event_type.as_deref() == Some("order.made")));
        }
        let known = failed.iter().zip(OWN_FORM).filter(|(why, name)| why.starts_with(&format!("{name}: "))).count();
        assert_eq!((known, failed.len()), (OWN_FORM.len(), OWN_FORM.len()), "{failed:#?}");
        assert!(typed >= 50, "the type was placed for {typed} providers only");
    }
}

//! Making the proofs that a [`crate::Verifier`] accepts: what a sender adds to a request, or changes in it.

use crate::{
    Provider, Refusal, Request, Scheme, Settings, Signed,
    json::{self, Path, Step},
    provider::Rule,
    scheme::{Algorithm, Filling, Form, Place, Signature, Spot, Unit, sign},
    special::text::{rfc3339, to_base64},
};
use std::borrow::Cow;

/// A request before it is signed.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned<'a> {
    /// Method, in upper case.
    pub method: &'a str,
    /// The absolute URL.
    pub url: &'a str,
    /// Headers that it has already; what a scheme says of id and time is added unless it is there.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The exact bytes of the body.
    pub body: &'a [u8],
    /// The event's id, for schemes that carry one.
    pub id: &'a str,
    /// The instant that is signed, in milliseconds since the epoch.
    pub timestamp_ms: u64,
}

impl<'a> Unsigned<'a> {
    fn request(&self) -> Request<'a> {
        Request { method: self.method, url: self.url, headers: self.headers, body: self.body }
    }
}

impl Provider {
    /// Signs a request as the provider does. The secret is the receiver's where both have the same, else the private key.
    ///
    /// # Errors
    /// The secret cannot sign, a setting is missing, or the body is not of a form in which the provider signs.
    pub fn sign(&self, secret: &str, settings: &Settings, unsigned: &Unsigned<'_>) -> Result<Signed, Refusal> {
        match &self.rule {
            Rule::Scheme(scheme) => scheme.sign(secret, settings, unsigned),
            Rule::Special(special, ..) => special.sign(&unsigned.request(), (unsigned.id, unsigned.timestamp_ms), secret, settings),
        }
    }
}

impl Scheme {
    /// Signs a request. The secret is the receiver's where both have the same, else the private key.
    ///
    /// # Errors
    /// As [`Provider::sign`].
    pub fn sign(&self, secret: &str, settings: &Settings, unsigned: &Unsigned<'_>) -> Result<Signed, Refusal> {
        if secret.is_empty() && self.algorithm() != Algorithm::None {
            return Err(Refusal::BadSecret("it is empty"));
        }
        match (self.algorithm(), &self.0.signature) {
            (Algorithm::Basic, _) if !secret.contains(':') => Err(Refusal::BadSecret("basic credentials are user:password")),
            (Algorithm::Basic, _) => Ok(self.with("Authorization", &format!("Basic {}", to_base64(secret.as_bytes())), unsigned)),
            (Algorithm::Token, Some(signature)) => self.token(signature, secret, unsigned),
            (algorithm, Some(signature)) if algorithm.signs() => self.signature(signature, secret, settings, unsigned),
            _ => Ok(Signed { headers: self.id_header(unsigned), ..Signed::default() }),
        }
    }

    fn with(&self, name: &str, value: &str, unsigned: &Unsigned<'_>) -> Signed {
        let mut headers = self.id_header(unsigned);
        headers.push((name.to_owned(), value.to_owned()));
        Signed { headers, ..Signed::default() }
    }

    /// The header that carries the id, unless the request has it or the id stands elsewhere.
    fn id_header(&self, unsigned: &Unsigned<'_>) -> Vec<(String, String)> {
        match self.0.id.as_ref().and_then(Place::first) {
            Some(Spot::Header(name)) if unsigned.request().header(name).is_none() => vec![(name.clone(), unsigned.id.to_owned())],
            _ => Vec::new(),
        }
    }

    fn token(&self, signature: &Signature, secret: &str, unsigned: &Unsigned<'_>) -> Result<Signed, Refusal> {
        let text = format!("{}{secret}", signature.prefix);
        match &signature.spot {
            Spot::Header(name) => Ok(self.with(&name.replace("{n}", "1"), &text, unsigned)),
            Spot::Query(name) => Ok(Signed { url: Some(with_query(unsigned.url, name, &text)), ..Signed::default() }),
            spot => {
                let there = spot.texts(&unsigned.request(), &[]);
                let headers = self.id_header(unsigned);
                if !there.is_empty() && there.iter().all(|one| *one == text) {
                    return Ok(Signed { headers, ..Signed::default() });
                }
                Ok(Signed {
                    headers,
                    body: Some(with_member(unsigned.body, spot, &serde_json::Value::from(text).to_string())?),
                    url: None,
                })
            }
        }
    }

    fn signature(
        &self,
        signature: &Signature,
        secret: &str,
        settings: &Settings,
        unsigned: &Unsigned<'_>,
    ) -> Result<Signed, Refusal> {
        let form = self.form_of(secret).ok_or(Refusal::BadSecret("it is no key of this scheme"))?;
        let mut signed = Signed { headers: self.id_header(unsigned), ..Signed::default() };
        let stamp = self.stamp(&mut signed, unsigned)?;
        let body = signed.body.clone();
        let headers: Vec<(&str, &[u8])> = signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let headers = [unsigned.headers, &headers].concat();
        let request = Request { headers: &headers, body: body.as_deref().unwrap_or(unsigned.body), ..unsigned.request() };
        let (names, fields) = (self.covered(&form), stamp.iter().filter_map(|stamp| field(self, stamp)).collect::<Vec<_>>());
        let fields: Vec<(&str, &str)> =
            fields.into_iter().chain(names.as_ref().map(|(field, names)| (*field, names.as_str()))).collect();
        let id = self.0.id.as_ref().and_then(|place| place.text(&request, &fields));
        let from = Filling { request: &request, settings, fields: &fields, id: id.as_deref(), timestamp: stamp.as_deref() };
        let bytes = sign(form.algorithm, form.key, secret, &form.signed.fill(&from)?)?;
        let value = written(signature, &form, &fields, &signature.encoding.encode(&bytes));
        match &signature.spot {
            Spot::Query(name) => signed.url = Some(with_query(unsigned.url, name, &value)),
            Spot::Header(name) => signed.headers.push((name.replace("{n}", "1"), value)),
            spot => return Err(spot.missing()),
        }
        Ok(signed)
    }

    /// The first form that a secret can sign.
    fn form_of(&self, secret: &str) -> Option<Form<'_>> {
        let signs = |form: &Form<'_>| sign(form.algorithm, form.key, secret, &[]).is_ok();
        // With one form only, its own words of what is wrong with the secret are better than ours.
        let mut forms: Vec<Form<'_>> = self.forms().collect();
        if forms.len() == 1 { forms.pop() } else { forms.into_iter().find(signs) }
    }

    /// The timestamp as the request writes it; put into a header or into the body if it is not there.
    fn stamp(&self, signed: &mut Signed, unsigned: &Unsigned<'_>) -> Result<Option<String>, Refusal> {
        let Some(stamp) = &self.0.timestamp else { return Ok(None) };
        let text = match stamp.unit {
            Unit::S => (unsigned.timestamp_ms / 1000).to_string(),
            Unit::Ms => unsigned.timestamp_ms.to_string(),
            Unit::Rfc3339 => rfc3339(unsigned.timestamp_ms),
        };
        if let Some(there) = stamp.spot.text(&unsigned.request(), &[]) {
            return Ok(Some(there.into_owned()));
        }
        match &stamp.spot {
            Spot::Header(name) => signed.headers.push((name.clone(), text.clone())),
            Spot::Field(_) => {}
            Spot::Body(_) => {
                let json = if stamp.unit == Unit::Rfc3339 { format!("\"{text}\"") } else { text.clone() };
                signed.body = Some(with_member(unsigned.body, &stamp.spot, &json)?);
            }
            spot => return Err(spot.missing()),
        }
        Ok(Some(text))
    }

    /// The field that says which headers are covered, and what it says: the id's.
    fn covered<'s>(&'s self, form: &Form<'s>) -> Option<(&'s str, String)> {
        let Spot::Header(name) = self.0.id.as_ref().and_then(Place::first)? else { return None };
        Some((form.signed.covered()?, name.to_ascii_lowercase()))
    }
}

/// The field of the signature header that carries the timestamp.
fn field<'s>(scheme: &'s Scheme, stamp: &'s str) -> Option<(&'s str, &'s str)> {
    if let Spot::Field(name) = &scheme.0.timestamp.as_ref()?.spot { Some((name, stamp)) } else { None }
}

/// The signature header's value.
fn written(signature: &Signature, form: &Form<'_>, fields: &[(&str, &str)], encoded: &str) -> String {
    let Some(between) = &signature.between else { return format!("{}{encoded}", signature.prefix) };
    let entries = fields.iter().copied().chain([(form.label.unwrap_or_default(), encoded)]);
    let entries: Vec<String> = entries.map(|(label, value)| format!("{label}{}{value}", signature.assign())).collect();
    format!("{}{}", signature.prefix, entries.join(between))
}

/// A URL with one more parameter.
fn with_query(url: &str, name: &str, value: &str) -> String {
    let (url, fragment) = url.split_once('#').map_or((url, String::new()), |(url, fragment)| (url, format!("#{fragment}")));
    let mark = if url.contains('?') { '&' } else { '?' };
    let escape =
        |text: &str| crate::special::text::escape(text.as_bytes(), |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    format!("{url}{mark}{}={}{fragment}", escape(name), escape(value))
}

/// A JSON object with one more member, in front; everything else keeps its bytes.
fn with_member(body: &[u8], spot: &Spot, value: &str) -> Result<Vec<u8>, Refusal> {
    let Spot::Body(path) = spot else { return Err(spot.missing()) };
    let steps = Path::parse(path).map_err(|rule| Refusal::Malformed(path.clone().into(), rule))?.0;
    let [Step::Member(name)] = steps.as_slice() else { return Err(spot.missing()) };
    let object = json::raw(body).map(serde_json::value::RawValue::get).and_then(|text| text.strip_prefix('{'));
    let rest = object.ok_or(Refusal::Malformed("the body".into(), "it is no JSON object"))?;
    if Path(steps.clone()).find(json::raw(body).ok_or_else(|| spot.missing())?).is_some() {
        return Err(Refusal::Malformed(path.clone().into(), "it is there already, and is another"));
    }
    let comma: Cow<'_, str> = if rest.trim_start().starts_with('}') { "".into() } else { ",".into() };
    Ok(format!("{{{}:{value}{comma}{rest}", serde_json::Value::from(name.as_str())).into_bytes())
}

#[cfg(test)]
mod tests;

//! What a message signature covers: the components of a request, written as lines (RFC 9421, sections 2 and 2.5).

use super::DIGEST;
use crate::special::pairs;
use crate::special::structured::{Bare, Item, Member, dictionary, write_item};
use crate::special::text::escape;
use crate::{Refusal, Request};
use ring::digest;
use subtle::ConstantTimeEq;

const BAD_COMPONENT: &str = "it names a component that is unknown or not supported";

/// The lines that are signed: one a component, then the parameters.
pub(super) fn signature_base(request: &Request<'_>, items: &[Item], list: &str) -> Result<String, Refusal> {
    let mut base = String::new();
    for (index, item) in items.iter().enumerate() {
        if items.iter().take(index).any(|other| other == item) {
            return Err(Refusal::Malformed("Signature-Input".into(), "it names a component twice"));
        }
        base.extend([&write_item(item), ": ", &component(request, item)?, "\n"]);
    }
    base.extend(["\"@signature-params\": ", list]);
    Ok(base)
}

/// All values of a header, joined as one.
pub(super) fn joined(request: &Request<'_>, name: &str) -> Option<String> {
    let values = request.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    let values: Option<Vec<&str>> = values.map(|(_, value)| str::from_utf8(value).ok().map(str::trim)).collect();
    values.filter(|values| !values.is_empty()).map(|values| values.join(", "))
}

/// A digest of the body that is stated must be right. Algorithms other than SHA-256 and SHA-512 prove nothing and are passed over,
/// as long as one of the two is there.
pub(super) fn check_digest(request: &Request<'_>) -> Result<(), Refusal> {
    if request.header(DIGEST).is_none() {
        return Ok(());
    }
    let members = joined(request, DIGEST).and_then(|text| dictionary(&text));
    let mut known = false;
    for (name, member) in members.ok_or(Refusal::Malformed(DIGEST.into(), "it is not a structured dictionary"))? {
        let algorithm = match name.as_str() {
            "sha-256" => &digest::SHA256,
            "sha-512" => &digest::SHA512,
            _ => continue,
        };
        let Member::One(Item { value: Bare::Bytes(stated), .. }) = member else {
            return Err(Refusal::Malformed(DIGEST.into(), "its digests must be byte sequences"));
        };
        if !bool::from(digest::digest(algorithm, request.body).as_ref().ct_eq(&stated)) {
            return Err(Refusal::Mismatch);
        }
        known = true;
    }
    if known { Ok(()) } else { Err(Refusal::WrongAlgorithm("of Content-Digest".into())) }
}

fn component(request: &Request<'_>, item: &Item) -> Result<String, Refusal> {
    let bad = || Refusal::Malformed("Signature-Input".into(), BAD_COMPONENT);
    let Bare::Text(name) = &item.value else { return Err(bad()) };
    if name == "@query-param" {
        return query_parameter(request, item).ok_or_else(bad);
    }
    if !item.parameters.is_empty() || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(bad());
    }
    let Url { scheme, authority, path, query } = Url::of(request.url).ok_or_else(bad)?;
    Ok(match name.as_str() {
        "@method" => request.method.to_owned(),
        "@target-uri" => request.url.to_owned(),
        "@authority" => authority,
        "@scheme" => scheme,
        "@request-target" => format!("{path}{}", query.map(|query| format!("?{query}")).unwrap_or_default()),
        "@path" => path.to_owned(),
        "@query" => format!("?{}", query.unwrap_or_default()),
        derived if derived.starts_with('@') => return Err(bad()),
        header => {
            joined(request, header).ok_or_else(|| Refusal::MissingHeader(header.chars().take(100).collect::<String>().into()))?
        }
    })
}

/// `"@query-param";name="…"`: the value, decoded and encoded again; a parameter that comes twice cannot be signed this way.
fn query_parameter(request: &Request<'_>, item: &Item) -> Option<String> {
    let [(name, Bare::Text(wanted))] = item.parameters.as_slice() else { return None };
    let query = Url::of(request.url)?.query.filter(|_| name == "name")?;
    let encode = |bytes: &[u8]| escape(bytes, |byte| byte.is_ascii_alphanumeric() || b"*-._".contains(&byte));
    let mut found = pairs(query.as_bytes())?.into_iter().filter(|(name, _)| encode(name) == *wanted);
    let (_, value) = found.next()?;
    found.next().is_none().then(|| encode(&value))
}

struct Url<'a> {
    scheme: String,
    authority: String,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Url<'a> {
    fn of(url: &'a str) -> Option<Url<'a>> {
        let (scheme, rest) = url.split_once("://")?;
        let rest = rest.split('#').next()?;
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let scheme = scheme.to_ascii_lowercase();
        let default = if scheme == "http" { ":80" } else { ":443" };
        let authority = authority.strip_suffix(default).unwrap_or(authority).to_ascii_lowercase();
        Some(Url { scheme, authority, path: if path.is_empty() { "/" } else { path }, query })
    }
}

//! Judging requests: a scheme or a provider's own rule, with the secrets that are live.

use crate::{
    Provider, Refusal, Request, Scheme, Settings, Special, Verified,
    provider::Rule,
    scheme::{Algorithm, DEFAULT_TOLERANCE_S, Encoding, Filling, Form, Material, Piece, Place, Read, Timestamp, Unit},
    special::{
        certificate::PublicKey,
        text::{base64, hex, instant_ms, to_hex},
    },
};
use sha2::{Digest, Sha256};
use std::{borrow::Cow, fmt};

/// The setting that replaces a scheme's tolerance, in seconds. Unlike a tolerance of 0 in a scheme, with which the age is not
/// judged, the setting `0` makes it exact: a signed instant must then be the receiver's own to the millisecond, which no
/// request over a network is. A receiver that lets others set it should refuse 0 (Postrider takes 1 to 86,400).
pub const TOLERANCE: &str = "tolerance_s";
/// Secrets that may be live at once.
const MAX_SECRETS: usize = 16;
/// Digits of a timestamp: milliseconds have 13 until the year 2286.
const MAX_DIGITS: usize = 16;
/// Bytes of an event id or of an event type. A longer type is none; a longer id is told by its digest.
const MAX_NAME_BYTES: usize = 1024;

/// What judges requests: made once, used for many.
#[derive(Clone, Debug)]
pub struct Verifier {
    judge: Judge,
    settings: Settings,
    /// `None`: the age of a signed instant is not judged.
    tolerance_ms: Option<u64>,
}

#[derive(Clone, Debug)]
enum Judge {
    /// A scheme; for each secret the forms for which it is a key.
    Scheme(Box<Scheme>, Vec<Vec<(usize, Material)>>),
    /// A provider's own rule, the secrets, and where id and type are.
    Special(Special, Vec<Text>, [Option<Place>; 2]),
}

/// A secret's text, which no debugging shows.
#[derive(Clone)]
struct Text(String);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Verifier {
    /// A verifier for a provider of the table. With several secrets, any one of them will do; the first is tried first.
    ///
    /// # Errors
    /// [`Refusal::BadSecret`] if there is none or one is not what the provider's scheme needs; [`Refusal::MissingSetting`].
    pub fn new(provider: &Provider, secrets: &[&str], settings: &Settings) -> Result<Verifier, Refusal> {
        for setting in &provider.settings {
            if setting.required && settings.get(&setting.name).is_none_or(String::is_empty) {
                return Err(Refusal::MissingSetting(setting.static_name()));
            }
        }
        match &provider.rule {
            Rule::Scheme(scheme) => Verifier::custom(scheme, secrets, settings),
            Rule::Special(special, id, event_type) => {
                count(secrets)?;
                secrets.iter().try_for_each(|secret| usable(*special, secret))?;
                let secrets = secrets.iter().map(|secret| Text((*secret).to_owned())).collect();
                let judge = Judge::Special(*special, secrets, [id.clone(), event_type.clone()]);
                Ok(Verifier { judge, tolerance_ms: tolerance_ms(settings, None)?, settings: settings.clone() })
            }
        }
    }

    /// A verifier for a scheme of the receiver's own.
    ///
    /// # Errors
    /// As [`Verifier::new`].
    pub fn custom(scheme: &Scheme, secrets: &[&str], settings: &Settings) -> Result<Verifier, Refusal> {
        let none = scheme.algorithm() == Algorithm::None;
        if !none {
            count(secrets)?;
        }
        let read = |secret: &&str| {
            let mut keys = Vec::new();
            let mut refusal = None;
            for (at, form) in scheme.forms().enumerate() {
                match Material::read(form.algorithm, form.key, secret) {
                    Ok(key) => keys.push((at, key)),
                    Err(error) => refusal = refusal.or(Some(error)),
                }
            }
            refusal.filter(|_| keys.is_empty()).map_or(Ok(keys), Err)
        };
        let keys = if none { Vec::new() } else { secrets.iter().map(read).collect::<Result<_, _>>()? };
        let judge = Judge::Scheme(Box::new(scheme.clone()), keys);
        Ok(Verifier { judge, tolerance_ms: tolerance_ms(settings, scheme.0.tolerance)?, settings: settings.clone() })
    }

    /// Judges a request. `now_ms` is in milliseconds since the epoch.
    ///
    /// # Errors
    /// The one reason why the request is not genuine, or cannot be judged.
    pub fn verify(&self, request: &Request<'_>, now_ms: u64) -> Result<Verified, Refusal> {
        match &self.judge {
            Judge::Scheme(scheme, keys) => SchemeJudge { scheme, keys, of: self, request, now_ms }.verify(),
            Judge::Special(special, secrets, [id, event_type]) => {
                let mut refusal = Refusal::BadSecret("there is none");
                for (at, Text(secret)) in secrets.iter().enumerate() {
                    match special.verify(request, secret, &self.settings, now_ms) {
                        Ok(verified) => {
                            let own = |place: &Option<Place>| place.as_ref().and_then(|place| place.whole(request, &[]));
                            let event_id = verified.event_id.or_else(|| own(id)).map(known);
                            let event_type = verified.event_type.or_else(|| own(event_type)).filter(|name| short(name));
                            return Ok(Verified { secret: at, event_id, event_type, ..verified });
                        }
                        Err(error) => refusal = error,
                    }
                }
                Err(refusal)
            }
        }
    }
}

fn count(secrets: &[&str]) -> Result<(), Refusal> {
    match secrets.len() {
        0 => Err(Refusal::BadSecret("there is none")),
        1..=MAX_SECRETS => Ok(()),
        _ => Err(Refusal::BadSecret("there are more than 16")),
    }
}

fn tolerance_ms(settings: &Settings, own: Option<u32>) -> Result<Option<u64>, Refusal> {
    let wrong = || Refusal::Malformed("the setting tolerance_s".into(), "it is not a number of seconds");
    let seconds = match (settings.get(TOLERANCE), own) {
        (Some(text), _) => text.parse().map_err(|_| wrong())?,
        (None, Some(0)) => return Ok(None),
        (None, own) => own.unwrap_or(DEFAULT_TOLERANCE_S),
    };
    Ok(Some(u64::from(seconds) * 1000))
}

/// Whether a secret can be what a provider's own rule needs.
fn usable(special: Special, secret: &str) -> Result<(), Refusal> {
    if secret.is_empty() {
        return Err(Refusal::BadSecret("it is empty"));
    }
    let secret = secret.trim();
    match special {
        Special::Paypal | Special::AwsSns => PublicKey::parse(secret).map(|_| ()),
        Special::Adyen => hex(secret).map(|_| ()).ok_or(Refusal::BadSecret("it is not hexadecimal")),
        Special::Rfc9421 if secret.starts_with("-----BEGIN ") => PublicKey::parse(secret).map(|_| ()),
        Special::Rfc9421 => base64(secret.as_bytes()).map(|_| ()).ok_or(Refusal::BadSecret("it is not base64")),
        _ => Ok(()),
    }
}

/// One request before a scheme.
struct SchemeJudge<'v, 'r> {
    scheme: &'v Scheme,
    keys: &'v [Vec<(usize, Material)>],
    of: &'v Verifier,
    request: &'v Request<'r>,
    now_ms: u64,
}

impl SchemeJudge<'_, '_> {
    fn verify(&self) -> Result<Verified, Refusal> {
        match self.scheme.algorithm() {
            Algorithm::None => Ok(self.verified(0, None, &[])),
            Algorithm::Basic => self.basic(),
            Algorithm::Token => self.token(),
            _ => self.signed(),
        }
    }

    /// Basic credentials (RFC 7617): everything behind the first colon is the password.
    fn basic(&self) -> Result<Verified, Refusal> {
        const NAME: &str = "Authorization";
        let header = self.request.header(NAME).ok_or(Refusal::MissingHeader(NAME.into()))?;
        let (scheme, digits) = header.split_at_checked(6).ok_or(Refusal::Malformed(NAME.into(), "it has no basic credentials"))?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return Err(Refusal::Malformed(NAME.into(), "it has no basic credentials"));
        }
        let given = base64(digits.trim_ascii()).ok_or(Refusal::Malformed(NAME.into(), "its credentials are not base64"))?;
        self.compared(&[given])
    }

    fn token(&self) -> Result<Verified, Refusal> {
        let signature = self.scheme.0.signature.as_ref().ok_or(Refusal::Mismatch)?;
        let texts = signature.texts(self.request)?;
        let behind = |text: &Cow<'_, str>| text.strip_prefix(&signature.prefix).map(|token| token.as_bytes().to_vec());
        let given: Option<Vec<Vec<u8>>> = texts.iter().map(behind).collect();
        self.compared(&given.ok_or(Refusal::Malformed(signature.name(), "it does not begin as it has to"))?)
    }

    /// Every text must be the secret: the same in each element of a batch.
    fn compared(&self, given: &[Vec<u8>]) -> Result<Verified, Refusal> {
        let mut found = None;
        for (at, keys) in self.keys.iter().enumerate() {
            for (_, key) in keys {
                let same = !given.is_empty() && given.iter().fold(true, |same, one| same & key.is(one));
                found = found.or(same.then_some(at));
            }
        }
        Ok(self.verified(found.ok_or(Refusal::Mismatch)?, None, &[]))
    }

    fn signed(&self) -> Result<Verified, Refusal> {
        let signature = self.scheme.0.signature.as_ref().ok_or(Refusal::Mismatch)?;
        let texts = signature.texts(self.request)?;
        let read = signature.read(&texts)?;
        let fields = &read.entries;
        let stamp = self.scheme.0.timestamp.as_ref();
        let early = stamp.filter(|stamp| !stamp.spot.in_body()).map(|stamp| self.stamp(stamp, fields)).transpose()?;
        let id = self.id(fields)?;
        let from = Filling {
            request: self.request,
            settings: &self.of.settings,
            fields,
            id: id.as_deref(),
            timestamp: early.as_ref().map(|(text, _)| text.as_ref()),
        };
        let secret = self.matching(&read, signature.encoding, &from)?;
        let late = stamp.filter(|stamp| stamp.spot.in_body()).map(|stamp| self.stamp(stamp, fields)).transpose()?;
        Ok(self.verified(secret, early.or(late).map(|(_, ms)| ms), fields))
    }

    /// The signed instant, as it is written and in milliseconds, if it is within the tolerance.
    fn stamp<'t>(&self, stamp: &Timestamp, fields: &[(&'t str, &'t str)]) -> Result<(String, u64), Refusal> {
        let text = stamp.spot.text(self.request, fields).ok_or_else(|| stamp.spot.missing())?;
        let name = || stamp.spot.to_string().into();
        let number = || {
            let digits = text.len() <= MAX_DIGITS && text.bytes().all(|c| c.is_ascii_digit());
            if digits { text.parse::<u64>().ok() } else { None }
        };
        let ms = match stamp.unit {
            Unit::S => number().ok_or_else(|| Refusal::Malformed(name(), "it is not a number of seconds"))?.saturating_mul(1000),
            Unit::Ms => number().ok_or_else(|| Refusal::Malformed(name(), "it is not a number of milliseconds"))?,
            Unit::Rfc3339 => instant_ms(&text).ok_or_else(|| Refusal::Malformed(name(), "it is not an instant of RFC 3339"))?,
        };
        match self.of.tolerance_ms {
            Some(tolerance) if ms.saturating_add(tolerance) < self.now_ms => Err(Refusal::Stale),
            Some(tolerance) if ms > self.now_ms.saturating_add(tolerance) => Err(Refusal::Future),
            _ => Ok((text.into_owned(), ms)),
        }
    }

    /// The id, where it is signed.
    fn id(&self, fields: &[(&str, &str)]) -> Result<Option<String>, Refusal> {
        let Some(place) = self.scheme.0.id.as_ref().filter(|_| self.scheme.forms().any(|form| form.signed.has(&Piece::Id))) else {
            return Ok(None);
        };
        let missing = || place.first().map_or(Refusal::MissingField("id".into()), |spot| spot.missing());
        place.text(self.request, fields).map(Some).ok_or_else(missing)
    }

    /// The first secret that made one of the signatures. For each secret, the first form of which there is any signature decides.
    fn matching(&self, read: &Read<'_>, encoding: Encoding, from: &Filling<'_, '_>) -> Result<usize, Refusal> {
        let forms: Vec<Form<'_>> = self.scheme.forms().collect();
        let (mut labelled, mut decoded) = (false, false);
        for (at, keys) in self.keys.iter().enumerate() {
            let found = keys.iter().find_map(|(form, key)| {
                let form = forms.get(*form)?;
                Some((form, key, read.signatures(form.label, encoding)?))
            });
            let Some((form, key, signatures)) = found else { continue };
            labelled = true;
            if signatures.is_empty() {
                continue;
            }
            decoded = true;
            if key.verifies(&form.signed.fill(from)?, &signatures) {
                return Ok(at);
            }
        }
        let name = || self.scheme.0.signature.as_ref().map_or("signature".into(), |signature| signature.name());
        match (labelled, decoded) {
            (_, true) => Err(Refusal::Mismatch),
            (true, false) => Err(Refusal::Malformed(name(), "its signature cannot be decoded")),
            (false, false) => Err(Refusal::Malformed(name(), "it has no signature of the version that is expected")),
        }
    }

    fn verified(&self, secret: usize, timestamp_ms: Option<u64>, fields: &[(&str, &str)]) -> Verified {
        let (id, event_type) = (self.scheme.0.id.as_ref(), self.scheme.0.event_type.as_ref());
        let event_id = id.and_then(|place| identified(place, self.request, fields));
        let event_type = event_type.and_then(|place| named(place, self.request, fields));
        Verified { secret, event_id, event_type, timestamp_ms }
    }
}

/// A type.
pub(crate) fn named(place: &Place, request: &Request<'_>, fields: &[(&str, &str)]) -> Option<String> {
    place.text(request, fields).filter(|name| short(name))
}

/// An id.
pub(crate) fn identified(place: &Place, request: &Request<'_>, fields: &[(&str, &str)]) -> Option<String> {
    place.whole(request, fields).map(known)
}

fn short(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES
}

/// The id, or `sha256:` and the digest of one that is too long.
fn known(id: String) -> String {
    if short(&id) { id } else { format!("sha256:{}", to_hex(&Sha256::digest(&id))) }
}

#[cfg(test)]
mod tests;

//! Which mistake is likely when a signature does not match: the usual ones are made on purpose, one after another, and those with
//! which the signature does match are named. For people who debug a receiver; nothing here makes a request genuine.

mod body;

#[cfg(test)]
mod tests;

use crate::{
    Provider, Refusal, Request, Scheme, Settings, TOLERANCE, Verified, Verifier,
    provider::Rule,
    providers,
    scheme::{Algorithm, CALLBACK_URL, Encoding, KeyEncoding, KeyRule, Signature, Template, Unchecked, Unit},
};
use std::borrow::Cow;

/// Bytes of a body that is written in other ways.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Hints that are given.
const MAX_HINTS: usize = 8;

/// A likely mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// A stable code: `secret_encoding`, `body_changed`, `timestamp_unit`, ….
    pub code: &'static str,
    /// What to do, in one sentence.
    pub text: String,
}

/// What a request is judged by.
#[derive(Clone, Copy, Debug)]
enum Rules<'a> {
    Provider(&'a Provider),
    Scheme(&'a Scheme),
}

/// One request that was refused, and all that judges it.
#[derive(Clone, Copy, Debug)]
struct Trial<'a> {
    rules: Rules<'a>,
    secrets: &'a [&'a str],
    settings: &'a Settings,
    request: &'a Request<'a>,
    now_ms: u64,
}

impl Provider {
    /// Likely mistakes, the most certain first; none if the request is genuine, or if none of the usual ones explains it.
    #[must_use]
    pub fn explain(&self, secrets: &[&str], settings: &Settings, request: &Request<'_>, now_ms: u64) -> Vec<Hint> {
        Trial { rules: Rules::Provider(self), secrets, settings, request, now_ms }.hints()
    }
}

impl Scheme {
    /// As [`Provider::explain`].
    #[must_use]
    pub fn explain(&self, secrets: &[&str], settings: &Settings, request: &Request<'_>, now_ms: u64) -> Vec<Hint> {
        Trial { rules: Rules::Scheme(self), secrets, settings, request, now_ms }.hints()
    }
}

fn hint(code: &'static str, text: impl Into<String>) -> Hint {
    Hint { code, text: text.into() }
}

impl<'a> Trial<'a> {
    fn hints(self) -> Vec<Hint> {
        let refusal = match self.verify() {
            Ok(_) => return Vec::new(),
            Err(refusal) => refusal,
        };
        let mut hints = match &refusal {
            Refusal::Stale | Refusal::Future => self.times(),
            Refusal::MissingHeader(name) => vec![self.missing(name)],
            _ => Vec::new(),
        };
        // From here on the age does not count: it has been spoken of.
        let mut settings = self.settings.clone();
        settings.insert(TOLERANCE.to_owned(), u32::MAX.to_string());
        let timeless = Trial { settings: &settings, ..self };
        if timeless.verify().is_err() {
            for step in
                [timeless.bodies(), timeless.keys(), timeless.encodings(), timeless.hashes(), timeless.templates(), timeless.urls()]
            {
                hints.extend(step);
            }
            if hints.iter().all(|hint| hint.code == "missing_header") {
                hints.extend(timeless.others());
            }
        }
        hints.truncate(MAX_HINTS);
        hints
    }

    fn verify(&self) -> Result<Verified, Refusal> {
        let verifier = match self.rules {
            Rules::Provider(provider) => Verifier::new(provider, self.secrets, self.settings),
            Rules::Scheme(scheme) => Verifier::custom(scheme, self.secrets, self.settings),
        };
        verifier?.verify(self.request, self.now_ms)
    }

    fn scheme(&self) -> Option<&'a Scheme> {
        match self.rules {
            Rules::Provider(provider) => match &provider.rule {
                Rule::Scheme(scheme) => Some(scheme),
                Rule::Special(..) => None,
            },
            Rules::Scheme(scheme) => Some(scheme),
        }
    }

    /// Whether it verifies with the scheme changed.
    fn with(&self, change: impl FnOnce(&mut Unchecked)) -> bool {
        let Some(scheme) = self.scheme() else { return false };
        let mut scheme = scheme.clone();
        change(&mut scheme.0);
        Trial { rules: Rules::Scheme(&scheme), ..*self }.verify().is_ok()
    }

    fn times(&self) -> Vec<Hint> {
        let units = [(Unit::S, "seconds"), (Unit::Ms, "milliseconds")];
        let other = |(unit, name): &(Unit, &str)| {
            let fits = self.with(|scheme| scheme.timestamp.iter_mut().for_each(|stamp| stamp.unit = *unit));
            fits.then(|| hint("timestamp_unit", format!("The timestamp counts in {name}.")))
        };
        let mut hints: Vec<Hint> = units.iter().filter_map(other).collect();
        let mut settings = self.settings.clone();
        settings.insert(TOLERANCE.to_owned(), u32::MAX.to_string());
        if let Ok(Verified { timestamp_ms: Some(signed), .. }) = (Trial { settings: &settings, ..*self }).verify() {
            let (seconds, side) = match self.now_ms.checked_sub(signed) {
                Some(age) => (age / 1000, "behind"),
                None => ((signed - self.now_ms) / 1000, "ahead of"),
            };
            let text = format!(
                "The signature is right, and its timestamp is {seconds} s {side} the time it is judged at: an old request was sent again, or a clock is wrong."
            );
            hints.push(hint("clock", text));
        }
        hints
    }

    fn missing(&self, name: &str) -> Hint {
        let alike = |name: &str| {
            let name = name.to_ascii_lowercase();
            ["sign", "hmac", "token", "auth", "digest"].iter().any(|word| name.contains(word))
        };
        let found: Vec<&str> = self.request.headers.iter().map(|(name, _)| *name).filter(|name| alike(name)).collect();
        let text = match found.as_slice() {
            [] => format!(
                "The header {name} is missing, and no other looks like a signature: the sender has no secret set, or a proxy removes it."
            ),
            found => format!(
                "The header {name} is missing; there is {}: another version of the scheme, or another provider.",
                found.join(", ")
            ),
        };
        hint("missing_header", text)
    }

    fn bodies(&self) -> Vec<Hint> {
        if self.request.body.len() > MAX_BODY_BYTES {
            return Vec::new();
        }
        let tried = |(words, body): (&'static str, Vec<u8>)| {
            let request = Request { body: &body, ..*self.request };
            Trial { request: &request, ..*self }.verify().is_ok().then(|| {
                hint(
                    "body_changed",
                    format!("The body was changed on its way: the signature is for {words}. Verify the bytes as they came."),
                )
            })
        };
        body::variants(self.request.body).into_iter().find_map(tried).into_iter().collect()
    }

    /// The secret read in another way, or with what was copied along with it.
    fn keys(&self) -> Vec<Hint> {
        let trimmed = |secret: &&str| {
            let bare = secret.trim().trim_matches(['"', '\'']);
            bare != *secret && Trial { secrets: &[bare], ..*self }.verify().is_ok()
        };
        let mut hints = Vec::new();
        if self.secrets.iter().any(trimmed) {
            hints.push(hint("secret_copied", "The secret has white space or quotes around it."));
        }
        let rules = [
            (KeyEncoding::Text, false, "The secret's text is the key: do not decode it, and leave its prefix."),
            (KeyEncoding::Text, true, "The secret's text behind its prefix is the key: do not decode it."),
            (KeyEncoding::Base64, false, "The secret is base64: decode it."),
            (KeyEncoding::Base64, true, "The secret is base64 behind its prefix: remove that and decode the rest."),
            (KeyEncoding::Hex, false, "The secret is hexadecimal: decode it."),
        ];
        let tried = |(encoding, strip, text): &(KeyEncoding, bool, &str)| {
            let fits = self.secrets.iter().any(|secret| {
                let bare = if *strip { secret.split_once('_').map_or(*secret, |(_, bare)| bare) } else { secret };
                let rule = KeyRule { encoding: *encoding, ..KeyRule::default() };
                Trial { secrets: &[bare], ..*self }.with(|scheme| scheme.key = rule)
            });
            fits.then(|| hint("secret_encoding", *text))
        };
        hints.extend(rules.iter().find_map(tried));
        hints
    }

    fn encodings(&self) -> Vec<Hint> {
        let all = [(Encoding::Hex, "hexadecimal"), (Encoding::Base64, "base64"), (Encoding::Base64url, "base64 for URLs")];
        let with = |change: &dyn Fn(&mut Signature)| self.with(|scheme| scheme.signature.iter_mut().for_each(change));
        let encoded = all.iter().find(|(encoding, _)| with(&|signature| signature.encoding = *encoding));
        let mut hints: Vec<Hint> = encoded
            .map(|(_, name)| hint("signature_encoding", format!("The signature is written in {name}.")))
            .into_iter()
            .collect();
        if with(&|signature| signature.prefix.clear()) {
            hints.push(hint("signature_prefix", "The signature comes without the prefix that the scheme has."));
        }
        let marks = ["sha256=", "sha1=", "sha512=", "v0=", "v1="];
        if let Some(mark) = marks.iter().find(|mark| with(&|signature| signature.prefix = (*mark).to_string())) {
            hints.push(hint("signature_prefix", format!("The signature stands behind `{mark}`.")));
        }
        hints
    }

    fn hashes(&self) -> Vec<Hint> {
        let all = [
            (Algorithm::HmacSha1, "SHA-1"),
            (Algorithm::HmacSha256, "SHA-256"),
            (Algorithm::HmacSha384, "SHA-384"),
            (Algorithm::HmacSha512, "SHA-512"),
        ];
        let signs = self.scheme().is_some_and(|scheme| scheme.algorithm().signs());
        let found = all.iter().filter(|_| signs).find(|(algorithm, _)| self.with(|scheme| scheme.algorithm = *algorithm));
        found.map(|(_, name)| hint("hash", format!("The signature is an HMAC with {name}."))).into_iter().collect()
    }

    fn templates(&self) -> Vec<Hint> {
        let all = [
            "{body}",
            "{timestamp}{body}",
            "{timestamp}.{body}",
            "{timestamp}:{body}",
            "{id}.{timestamp}.{body}",
            "{url}{body}",
            "{body}{url}",
        ];
        let tried = |text: &&&str| {
            Template::try_from((**text).to_owned()).is_ok_and(|template| self.with(|scheme| scheme.signed = template))
        };
        let signs = self.scheme().is_some_and(|scheme| scheme.algorithm().signs());
        let found = all.iter().filter(|_| signs).find(tried);
        found.map(|text| hint("signed_content", format!("What is signed is `{text}`."))).into_iter().collect()
    }

    fn urls(&self) -> Vec<Hint> {
        let url = self.settings.get(CALLBACK_URL).map_or(self.request.url, String::as_str);
        let tried = |url: &Cow<'_, str>| {
            let mut settings = self.settings.clone();
            settings.remove(CALLBACK_URL);
            let request = Request { url, ..*self.request };
            Trial { settings: &settings, request: &request, ..*self }.verify().is_ok()
        };
        let found = urls(url).into_iter().find(tried);
        found.map(|url| hint("url", format!("The sender signed the URL {url}: give the one that it calls."))).into_iter().collect()
    }

    /// Whether it is the request of another provider.
    fn others(&self) -> Vec<Hint> {
        let tried = |provider: &&Provider| {
            let signs = provider.scheme().is_none_or(|scheme| scheme.algorithm().signs());
            signs && Trial { rules: Rules::Provider(provider), ..*self }.verify().is_ok()
        };
        let found = providers().iter().find(tried);
        found
            .map(|provider| hint("provider", format!("It is signed as {} does (`{}`).", provider.title, provider.name)))
            .into_iter()
            .collect()
    }
}

/// A URL as proxies and people change it.
fn urls(url: &str) -> Vec<Cow<'_, str>> {
    let (bare, query) = url.split_once('?').map_or((url, String::new()), |(bare, query)| (bare, format!("?{query}")));
    let mut all: Vec<Cow<'_, str>> = vec![bare.into()];
    let slashed = bare.strip_suffix('/').map_or_else(|| format!("{bare}/"), str::to_owned);
    all.push(format!("{slashed}{query}").into());
    let scheme = url.strip_prefix("https://").map(|rest| format!("http://{rest}"));
    all.extend(scheme.or_else(|| url.strip_prefix("http://").map(|rest| format!("https://{rest}"))).map(Cow::Owned));
    all
}

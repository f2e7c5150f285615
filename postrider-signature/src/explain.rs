//! Which mistake is likely when a signature does not match: the usual ones are made on purpose, one after another, and those with
//! which the signature does match are named. For people who debug a receiver; nothing here makes a request genuine.

mod body;

#[cfg(test)]
mod tests;

use crate::{
    Provider, Refusal, Request, Scheme, Settings, TOLERANCE, Verified, Verifier,
    provider::Rule,
    providers,
    scheme::{Algorithm, CALLBACK_URL, DEFAULT_TOLERANCE_S, Encoding, KeyEncoding, KeyRule, Signature, Template, Unchecked, Unit},
    special::text::instant_ms,
};
use std::borrow::Cow;

/// Bytes of a body that is written in other ways.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Hints that are given.
const MAX_HINTS: usize = 8;
/// Headers that are named in a hint.
const MAX_NAMED: usize = 10;
/// Hints that say what was met, and not what was done wrong.
const MET: [&str; 3] = ["missing_header", "malformed", "age"];

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
            Refusal::Malformed(name, rule) => vec![hint("malformed", malformed(name, rule))],
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
            let explained = |hints: &[Hint]| hints.iter().any(|hint| !MET.contains(&hint.code));
            if !explained(&hints) {
                hints.extend(timeless.others());
            }
            // What explains it says more than that it cannot be read.
            if explained(&hints) {
                hints.retain(|hint| hint.code != "malformed");
            } else {
                hints.push(self.expected());
                hints.extend(matches!(refusal, Refusal::Mismatch | Refusal::Stale | Refusal::Future).then(unexplained));
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
            fits.then(|| {
                hint(
                    "timestamp_unit",
                    format!("The timestamp counts in {name}: let the scheme say so, or the sender send the other."),
                )
            })
        };
        let mut hints: Vec<Hint> = units.iter().filter_map(other).collect();
        let mut settings = self.settings.clone();
        settings.insert(TOLERANCE.to_owned(), u32::MAX.to_string());
        match (Trial { settings: &settings, ..*self }).verify() {
            Ok(Verified { timestamp_ms: Some(signed), .. }) => {
                let age = self.age(signed);
                hints.push(hint(
                    "clock",
                    format!(
                        "The signature is right, but {age}: an old request was sent again, or a clock is wrong. Send a fresh one, or set the clocks."
                    ),
                ));
            }
            // A timestamp in another unit is no age.
            Err(_) if hints.is_empty() => {
                hints.extend(self.signed_at().map(|signed| hint("age", format!("{}.", capital(&self.age(signed))))));
            }
            _ => {}
        }
        hints
    }

    /// How far a signed instant is from the time it is judged at, and from what is tolerated.
    fn age(&self, signed: u64) -> String {
        let (ms, side) = match self.now_ms.checked_sub(signed) {
            Some(age) => (age, "behind"),
            None => (signed.saturating_sub(self.now_ms), "ahead of"),
        };
        let (seconds, tolerance) = (ms / 1000, self.tolerance_s());
        let over = seconds.saturating_sub(tolerance);
        format!(
            "its timestamp is {seconds} s {side} the time it is judged at, {over} s more than the {tolerance} s that are tolerated"
        )
    }

    fn tolerance_s(&self) -> u64 {
        let set = self.settings.get(TOLERANCE).and_then(|text| text.parse().ok());
        set.or_else(|| self.scheme()?.0.tolerance.map(u64::from)).unwrap_or_else(|| u64::from(DEFAULT_TOLERANCE_S))
    }

    /// The instant that a request says it was signed at, whether or not its signature is right.
    fn signed_at(&self) -> Option<u64> {
        let scheme = &self.scheme()?.0;
        let (stamp, signature) = (scheme.timestamp.as_ref()?, scheme.signature.as_ref()?);
        let texts = signature.texts(self.request).ok()?;
        let read = signature.read(&texts).ok()?;
        let text = stamp.spot.text(self.request, &read.entries)?;
        match stamp.unit {
            Unit::S => text.parse::<u64>().ok()?.checked_mul(1000),
            Unit::Ms => text.parse().ok(),
            Unit::Rfc3339 => instant_ms(&text),
        }
    }

    /// Headers that could hold a signature.
    fn alike(&self) -> Vec<&'a str> {
        let alike = |name: &str| {
            let name = name.to_ascii_lowercase();
            ["sign", "hmac", "token", "auth", "digest"].iter().any(|word| name.contains(word))
        };
        let names = self.request.headers.iter().map(|(name, _)| *name);
        names.filter(|name| alike(name)).take(MAX_NAMED).collect()
    }

    /// What the source expects, and what of it came.
    fn expected(&self) -> Hint {
        let summary = match self.rules {
            Rules::Provider(provider) => format!("as {} signs: {}", provider.title, provider.summary()),
            Rules::Scheme(scheme) => scheme.summary(),
        };
        let came = match self.alike().as_slice() {
            [] => "none of the headers that came looks like a signature".to_owned(),
            names => format!("of the headers that came, these may hold a signature: {}", names.join(", ")),
        };
        hint("expected", format!("What is expected, {summary}; {came}."))
    }

    fn missing(&self, name: &str) -> Hint {
        let text = match self.alike().as_slice() {
            [] => format!(
                "The header {name} is missing, and no other looks like a signature: the sender has no secret set, or a proxy removes it. Set the secret at the sender, and let the proxy pass the header on."
            ),
            found => format!(
                "The header {name} is missing; there is {}: another version of the scheme, or another provider. Choose the one that the sender is.",
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
                    format!(
                        "The body was changed on its way, by a framework or by copying: the signature is for {words}. Verify the bytes as they came, before anything parses them."
                    ),
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
            hints.push(hint(
                "secret_copied",
                "The secret has white space or quotes around it, which were copied along: set it without them.",
            ));
        }
        let rules = [
            (
                KeyEncoding::Text,
                false,
                "The sender took the secret's whole text as the key: it has to remove the prefix and decode the rest, or the scheme here not to.",
            ),
            (
                KeyEncoding::Text,
                true,
                "The sender took the secret's text behind its prefix as the key, and did not decode it: decode it there, or let the scheme here take text.",
            ),
            (
                KeyEncoding::Base64,
                false,
                "The sender decoded the secret from base64: take its text as the key there, or let the scheme here decode it.",
            ),
            (
                KeyEncoding::Base64,
                true,
                "The sender removed the secret's prefix and decoded the rest from base64: take the text there, or let the scheme here do the same.",
            ),
            (
                KeyEncoding::Hex,
                false,
                "The sender decoded the secret from hexadecimal digits: take its text as the key there, or let the scheme here decode it.",
            ),
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
            .map(|(_, name)| {
                hint(
                    "signature_encoding",
                    format!("The signature is written in {name}: write it as the scheme says, or let the scheme say so."),
                )
            })
            .into_iter()
            .collect();
        if with(&|signature| signature.prefix.clear()) {
            hints.push(hint(
                "signature_prefix",
                "The signature comes without the prefix that the scheme has: put it in front, or take it out of the scheme.",
            ));
        }
        let marks = ["sha256=", "sha1=", "sha512=", "v0=", "v1="];
        if let Some(mark) = marks.iter().find(|mark| with(&|signature| signature.prefix = (*mark).to_string())) {
            hints.push(hint(
                "signature_prefix",
                format!("The signature stands behind `{mark}`, which the scheme has not: remove it, or let the scheme say so."),
            ));
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
        found
            .map(|(_, name)| {
                hint(
                    "hash",
                    format!(
                        "The signature is an HMAC with {name}: use the hash that the scheme says, or let the scheme say this one."
                    ),
                )
            })
            .into_iter()
            .collect()
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
        found
            .map(|text| {
                hint(
                    "signed_content",
                    format!("What was signed is `{text}`: sign what the scheme says, or let the scheme say this."),
                )
            })
            .into_iter()
            .collect()
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
            .map(|provider| {
                hint(
                    "provider",
                    format!("It is signed as {} does: make a source of the provider `{}` for it.", provider.title, provider.name),
                )
            })
            .into_iter()
            .collect()
    }
}

fn malformed(name: &str, rule: &str) -> String {
    format!("{} is there, but {rule}: compare it with what the sender says that it sends.", capital(name))
}

/// What remains when no usual mistake was made.
fn unexplained() -> Hint {
    let text = "None of the usual mistakes explains it. Either the secret is another one: compare it with the sender's, letter by letter. \
                Or the body is not the one that was signed: take its bytes before anything parses them.";
    hint("unexplained", text)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
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

//! A profile, compiled: header names parsed, the way of signing chosen, so that an attempt interprets nothing.

use crate::model::{BUILT_IN_PROFILES, Defaults, Envelope, Finals, Profile, RequestMethod, RetryPolicy, Template, built_in};
use http::{HeaderName, HeaderValue, Method};
use postrider_signature::{Provider, Refusal, Scheme, Settings, Signed, Unsigned, provider};
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

/// Names that most deliveries carry: made once, at compile time.
const USUAL: [HeaderName; 6] = [
    HeaderName::from_static("webhook-id"),
    HeaderName::from_static("webhook-timestamp"),
    HeaderName::from_static("webhook-signature"),
    HeaderName::from_static("svix-id"),
    HeaderName::from_static("svix-timestamp"),
    HeaderName::from_static("svix-signature"),
];

/// How requests are signed.
#[derive(Clone, Debug)]
pub enum Signer {
    /// Standard Webhooks, under these names: the fast way.
    Standard {
        /// Carries the message's id.
        id: HeaderName,
        /// Carries the attempt's time.
        timestamp: HeaderName,
        /// Carries the signatures.
        signature: HeaderName,
    },
    /// By a scheme of the grammar.
    Scheme(Box<Scheme>, Settings),
    /// As a provider that has a rule of its own.
    Provider(&'static Provider, Settings),
}

impl Signer {
    /// Signs a request with the live secrets, the current one first; with all of them where receivers can be told of several.
    ///
    /// # Errors
    /// The secret is none of this signer's, a setting is missing.
    pub fn sign<'k>(&self, secrets: impl IntoIterator<Item = &'k str>, unsigned: &Unsigned<'_>) -> Result<Signed, Refusal> {
        match self {
            Signer::Scheme(scheme, settings) => scheme.sign_all(secrets, settings, unsigned),
            Signer::Provider(provider, settings) => {
                let secret = secrets.into_iter().next().ok_or(Refusal::BadSecret("there is none"))?;
                provider.sign(secret, settings, unsigned)
            }
            Signer::Standard { .. } => Err(Refusal::BadSecret("standard signatures are made with keys")),
        }
    }

    /// Whether a secret's text can sign.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, secret: &str) -> Result<(), String> {
        if let Signer::Standard { .. } = self {
            return postrider_signature::Key::parse(secret).map(|_| ()).map_err(|error| error.to_string());
        }
        let unsigned =
            Unsigned { method: "POST", url: "https://example.com/", headers: &[], body: b"{}", id: "1", timestamp_ms: 0 };
        match self.sign([secret], &unsigned) {
            Err(error @ Refusal::BadSecret(_)) => Err(error.to_string()),
            _ => Ok(()),
        }
    }

    /// Whether the secret itself is sent, in a header that is therefore not to be shown.
    #[must_use]
    pub fn sends_secret(&self) -> bool {
        matches!(self, Signer::Scheme(scheme, _) if scheme.sends_secret())
    }
}

/// A profile, compiled.
#[derive(Clone, Debug)]
pub struct CompiledProfile {
    /// Its name.
    pub name: Arc<str>,
    /// As it is written.
    pub profile: Arc<Profile>,
    /// How requests are signed.
    pub signer: Signer,
    /// Headers beside those of the signature.
    pub headers: Vec<(HeaderName, Template)>,
    /// The body's content type, where the profile says one.
    pub content_type: Option<HeaderValue>,
    /// What is sent around the payload.
    pub envelope: Option<Envelope>,
    /// The method.
    pub method: Method,
    /// The retry policy, where the profile says one.
    pub retry_policy: Option<Arc<RetryPolicy>>,
    /// Statuses after which nothing is tried again.
    pub finals: Finals,
    /// Whether `410 Gone` disables the endpoint.
    pub disable_on_gone: bool,
    /// The time for an attempt, where the profile says one.
    pub timeout: Option<Duration>,
    /// Whether URLs must begin with `https://`.
    pub https_only: bool,
    /// The origin by which the receiver is asked before the first delivery.
    pub handshake: Option<HeaderValue>,
    /// What an endpoint is made with.
    pub defaults: Defaults,
    signed: Vec<HeaderName>,
}

impl CompiledProfile {
    /// Compiles a profile that has been checked. What cannot be compiled all the same is left out.
    #[must_use]
    pub fn compile(name: &str, profile: &Profile) -> CompiledProfile {
        let signed = profile.signature_headers().iter().filter_map(|name| header(name)).collect();
        let headers = profile.templates().filter_map(|(name, template)| Some((header(name)?, template.clone()))).collect();
        CompiledProfile {
            name: name.into(),
            profile: Arc::new(profile.clone()),
            signer: signer(profile),
            headers,
            content_type: profile.content_type.as_deref().and_then(|text| HeaderValue::from_str(text).ok()),
            envelope: profile.envelope.clone(),
            method: method(profile.method),
            retry_policy: profile.retry_policy.clone().map(Arc::new),
            finals: profile.finals.clone(),
            disable_on_gone: profile.disable_on_gone,
            timeout: profile.timeout_seconds.map(|seconds| Duration::from_secs(seconds.into())),
            https_only: profile.https_only,
            handshake: profile.handshake.as_ref().and_then(|shake| HeaderValue::from_str(&shake.origin).ok()),
            defaults: profile.defaults,
            signed,
        }
    }

    /// Whether deliveries of this profile write the header themselves.
    #[must_use]
    pub fn writes(&self, name: &HeaderName) -> bool {
        self.signed.contains(name) || self.headers.iter().any(|(own, _)| own == name)
    }

    /// The headers that signing writes.
    pub fn signature_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.signed.iter()
    }
}

/// The method of requests.
#[must_use]
pub(super) fn method(method: Option<RequestMethod>) -> Method {
    match method {
        None | Some(RequestMethod::Post) => Method::POST,
        Some(RequestMethod::Put) => Method::PUT,
        Some(RequestMethod::Patch) => Method::PATCH,
    }
}

/// The built-in profile of that name, compiled.
#[must_use]
pub fn compiled_built_in(name: &str) -> Option<Arc<CompiledProfile>> {
    static COMPILED: LazyLock<BTreeMap<&'static str, Arc<CompiledProfile>>> = LazyLock::new(|| {
        let compiled = |name: &'static str| Some((name, Arc::new(CompiledProfile::compile(name, built_in(name)?))));
        BUILT_IN_PROFILES.into_iter().filter_map(compiled).collect()
    });
    COMPILED.get(name).cloned()
}

fn header(name: &str) -> Option<HeaderName> {
    let usual = USUAL.iter().find(|usual| usual.as_str().eq_ignore_ascii_case(name)).cloned();
    usual.or_else(|| HeaderName::try_from(name).ok())
}

fn signer(profile: &Profile) -> Signer {
    let row = profile.provider.as_deref().and_then(provider);
    let scheme = profile.scheme.as_ref().or_else(|| row.and_then(Provider::scheme));
    if let Some(names) = scheme.and_then(Scheme::standard_names)
        && let (Some(id), Some(timestamp), Some(signature)) = (header(names.id), header(names.timestamp), header(names.signature))
    {
        return Signer::Standard { id, timestamp, signature };
    }
    match (scheme, row) {
        (None, Some(row)) => Signer::Provider(row, profile.settings.clone()),
        (Some(scheme), _) => Signer::Scheme(Box::new(scheme.clone()), profile.settings.clone()),
        // Neither: a checked profile has one of them; what has none falls back on the default's signature.
        (None, None) => Signer::Standard {
            id: HeaderName::from_static("webhook-id"),
            timestamp: HeaderName::from_static("webhook-timestamp"),
            signature: HeaderName::from_static("webhook-signature"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_signatures_take_the_fast_way_and_no_others() {
        for name in BUILT_IN_PROFILES {
            let compiled = compiled_built_in(name).unwrap();
            let fast = matches!(compiled.signer, Signer::Standard { .. });
            assert_eq!(fast, ["standard", "svix", "connect"].contains(&name), "{name}");
            assert_eq!(compiled.headers.len(), built_in(name).unwrap().headers.len(), "{name}");
        }
        let renamed = serde_json::to_string(built_in("svix").unwrap()).unwrap().replace("svix-", "X-Acme-");
        let compiled = CompiledProfile::compile("acme", &serde_json::from_str(&renamed).unwrap());
        assert!(matches!(&compiled.signer, Signer::Standard { id, .. } if id == "x-acme-id"));
        assert!(compiled.writes(&HeaderName::from_static("x-acme-signature")));
    }

    #[test]
    fn secrets_are_judged_by_the_scheme() {
        let check = |name: &str, secret: &str| compiled_built_in(name).unwrap().signer.check(secret).is_ok();
        for (name, secret, good) in [
            ("standard", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true),
            ("standard", "whsec_your_signing_secret", false),
            ("ilara", "whsec_your_signing_secret", true),
            ("nudj", "anything at all", true),
            ("nudj", "", false),
            ("rfc9421", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true),
            ("rfc9421", "%", false),
            ("cloudevents", "a-token", true),
        ] {
            assert_eq!(check(name, secret), good, "{name} {secret}");
        }
        assert!(compiled_built_in("cloudevents").unwrap().signer.sends_secret());
        assert!(!compiled_built_in("ilara").unwrap().signer.sends_secret());
    }
}

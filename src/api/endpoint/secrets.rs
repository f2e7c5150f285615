//! An endpoint's signing secrets: given or made, sealed, shown, rotated. No I/O.

use super::shape::SecretType;
use crate::{
    api::problem::Problem,
    crypto::{Vault, VaultError, hex},
    model::{Endpoint, Secret, Time},
    random::Random,
    routing::{CompiledProfile, SECRET_PURPOSE, Signer},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use postrider_signature::{Key, Scheme, scheme::KeyEncoding};
use std::time::Duration;
use zeroize::Zeroizing;

/// Random bytes of a symmetric secret that is made: what Standard Webhooks' libraries make.
const SYMMETRIC_BYTES: usize = 24;
/// Bytes of a secret that is given for a profile whose scheme reads it as it is.
const MAX_GIVEN_BYTES: usize = 16 * 1024;
/// How a private key in PEM begins.
const PEM: &str = "-----BEGIN";
/// Secrets that sign at one time at most: each of them lengthens the signature header of every delivery.
const MAX_LIVE: usize = 10;

/// What the vault refuses is ours to find out: a master key that is missing, a record that is damaged.
impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        tracing::error!(%error, "the vault refuses");
        Problem::Internal
    }
}

/// What seals and makes secrets.
#[derive(Clone, Copy)]
pub(in crate::api) struct Forge<'a> {
    pub(in crate::api) vault: &'a Vault,
    pub(in crate::api) random: &'a Random,
    pub(in crate::api) now: Time,
}

/// A secret's text in the one form in which it is kept.
pub(crate) type Text = Zeroizing<String>;

impl Forge<'_> {
    /// The text of a secret that a request brings, or of a new one: a key, or whatever else the profile's scheme signs with.
    ///
    /// # Errors
    /// The text cannot sign as the profile says, or none can be made for it; the problem names `field`.
    pub(in crate::api) fn text(
        &self,
        field: &str,
        given: Option<&str>,
        kind: SecretType,
        profile: &CompiledProfile,
    ) -> Result<Text, Problem> {
        let refused = |rule: String| Problem::field(&["body", field], "pattern", rule);
        let standard = matches!(profile.signer, Signer::Standard { .. });
        match given {
            Some(given) if standard => read(given).map_err(refused),
            Some(given) if given.len() > MAX_GIVEN_BYTES => Err(refused(format!("At most {MAX_GIVEN_BYTES} bytes."))),
            Some(given) => profile.signer.check(given).map(|()| Zeroizing::new(given.to_owned())).map_err(refused),
            None if standard => Ok(self.make(kind)),
            None => {
                let made = self.made_for(profile);
                let none = |rule| refused(format!("The profile {} needs a secret that is given: {rule}.", profile.name));
                profile.signer.check(&made).map(|()| made).map_err(none)
            }
        }
    }

    /// A shared secret in the form in which the profile's scheme reads it.
    fn made_for(&self, profile: &CompiledProfile) -> Text {
        let bytes = Zeroizing::new(self.random.bytes::<SYMMETRIC_BYTES>());
        let rule = profile.profile.scheme.as_ref().map(Scheme::key_rule);
        let prefix = rule.and_then(|rule| rule.prefix.clone()).unwrap_or_else(|| profile.profile.secret_prefix.clone());
        let text = match rule.map(|rule| rule.encoding) {
            Some(KeyEncoding::Hex) => hex(bytes.as_slice()),
            _ => STANDARD.encode(*bytes),
        };
        Zeroizing::new(prefix + &text)
    }

    fn make(&self, kind: SecretType) -> Text {
        Zeroizing::new(match kind {
            SecretType::Hmac => Key::symmetric_text(&*Zeroizing::new(self.random.bytes::<SYMMETRIC_BYTES>())),
            SecretType::Ed25519 => Key::ed25519_text(&Zeroizing::new(self.random.bytes::<32>())),
        })
    }

    /// The secret, sealed, as the current one.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub(in crate::api) fn seal(&self, text: &Text) -> Result<Secret, VaultError> {
        let sealed = self.vault.seal(self.random, SECRET_PURPOSE, text.as_bytes())?;
        Ok(Secret { sealed, created_at: self.now, expires_at: None })
    }

    /// The text of the endpoint's current secret.
    ///
    /// # Errors
    /// It does not open.
    pub(super) fn current(&self, endpoint: &Endpoint) -> Result<Text, VaultError> {
        let secret = endpoint.secrets.last().ok_or(VaultError::Damaged)?;
        self.vault.open_text(SECRET_PURPOSE, &secret.sealed)
    }

    /// Puts a new current secret in place; the one before it signs on for the grace period, those that have run out go.
    /// A grace period of zero ends all that are older.
    /// Nothing changes when the new secret is the current one.
    ///
    /// # Errors
    /// Too many secrets are live.
    pub(super) fn rotate(&self, endpoint: &mut Endpoint, text: &Text, grace: Duration) -> Result<(), Problem> {
        if *self.current(endpoint)? == **text {
            return Ok(());
        }
        for secret in &mut endpoint.secrets {
            secret.expires_at.get_or_insert(self.now.plus(grace));
        }
        // Without grace all of them end: that is what somebody asks for whose secrets have leaked.
        endpoint.secrets.retain(|secret| !grace.is_zero() || secret.expires_at.is_none());
        endpoint.secrets.retain(|secret| secret.expires_at.is_none_or(|end| end > self.now));
        if endpoint.secrets.len() >= MAX_LIVE {
            let rule = format!("At most {MAX_LIVE} secrets sign at one time: wait until one runs out, or end them all with 0.");
            return Err(Problem::field(&["body", "gracePeriodSeconds"], "limit", rule));
        }
        endpoint.secrets.push(self.seal(text)?);
        endpoint.updated_at = self.now;
        Ok(())
    }
}

/// The kind of a secret.
pub(super) fn kind(text: &Text) -> SecretType {
    match Key::parse(text) {
        Ok(Key::Ed25519(_)) => SecretType::Ed25519,
        _ => SecretType::Hmac,
    }
}

/// What receivers verify with, which is what the API shows: the secret itself, or the public half of an Ed25519 key. A private
/// key in PEM is not shown: its owner has it.
pub(super) fn shown(text: &Text) -> String {
    if text.trim_start().starts_with(PEM) {
        return "(a private key, which is not shown)".to_owned();
    }
    Key::parse(text).ok().and_then(|key| key.public_text()).unwrap_or_else(|| text.to_string())
}

fn read(given: &str) -> Result<Text, String> {
    let key = Key::parse(given).map_err(|error| error.to_string())?;
    Ok(Zeroizing::new(match key {
        Key::Symmetric(bytes) => Key::symmetric_text(&bytes),
        Key::Ed25519(key) => Key::ed25519_text(&Zeroizing::new(key.to_bytes())),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AppId, EndpointId, OrgId};

    fn endpoint(forge: &Forge<'_>) -> Endpoint {
        let secret = forge.seal(&forge.make(SecretType::Hmac)).unwrap();
        Endpoint {
            id: EndpointId(1),
            app: AppId(1),
            org: OrgId(1),
            uid: None,
            url: "https://example.com/".into(),
            name: None,
            description: String::new(),
            event_types: None,
            channels: None,
            filter: None,
            disabled: None,
            throttle_rate: None,
            concurrency: None,
            ordering: None,
            metadata: Default::default(),
            headers: Default::default(),
            credentials: None,
            secrets: vec![secret],
            profile: None,
            method: None,
            system: None,
            retry_policy: None,
            created_at: Time(0),
            updated_at: Time(0),
        }
    }

    fn profile(name: &str) -> std::sync::Arc<CompiledProfile> {
        crate::routing::compiled_built_in(name).unwrap()
    }

    #[test]
    fn a_profile_s_secrets_are_what_its_scheme_reads() {
        with_forge(|forge| {
            let text = |name: &str, given| forge.text("secret", given, SecretType::Hmac, &profile(name));
            assert_eq!(*text("ilara", Some("whsec_your_signing_secret")).unwrap(), "whsec_your_signing_secret");
            assert!(text("standard", Some("whsec_your_signing_secret")).is_err());
            assert!(text("ilara", Some("")).is_err() && text("rfc9421", Some("%")).is_err());
            for (name, start) in [("alakazam", "whsec_"), ("ilara", "whsec_"), ("nudj", ""), ("rfc9421", ""), ("cloudevents", "")] {
                let made = text(name, None).unwrap();
                assert!(made.starts_with(start) && made.len() >= start.len() + 32, "{name}");
            }
            let hexadecimal = r#"{"scheme":{"algorithm":"hmac-sha256","key":{"encoding":"hex"},"signature":{"in":"header:X-S"}}}"#;
            let own = CompiledProfile::compile("own", &serde_json::from_str(hexadecimal).unwrap());
            assert!(forge.text("secret", None, SecretType::Hmac, &own).unwrap().bytes().all(|b| b.is_ascii_hexdigit()));
            let basic = CompiledProfile::compile("own", &serde_json::from_str(r#"{"scheme":{"algorithm":"basic"}}"#).unwrap());
            assert!(forge.text("secret", None, SecretType::Hmac, &basic).is_err());
            assert!(forge.text("secret", Some("user:password"), SecretType::Hmac, &basic).is_ok());
            assert!(!shown(&Zeroizing::new("-----BEGIN PRIVATE KEY-----\nMC4".to_owned())).contains("MC4"));
        });
    }

    fn with_forge(test: impl FnOnce(Forge<'_>)) {
        let random = Random::seeded(7);
        let vault = Vault::from_text(&Vault::new_key(&random)).unwrap();
        test(Forge { vault: &vault, random: &random, now: Time(1_000_000) });
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn secrets_are_kept_with_their_prefix_and_shown_as_receivers_need_them() {
        with_forge(|forge| {
            let plain = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
            let text = forge.text("secret", Some(plain), SecretType::Hmac, &profile("standard")).unwrap();
            assert_eq!((text.as_str(), shown(&text)), (&*format!("whsec_{plain}"), format!("whsec_{plain}")));
            let text = forge.text("secret", None, SecretType::Ed25519, &profile("standard")).unwrap();
            assert!(text.starts_with("whsk_") && shown(&text).starts_with("whpk_"));
            assert_eq!(kind(&text), SecretType::Ed25519);
            for bad in ["", "short", "whsec_%", "whpk_AAAA"] {
                assert!(forge.text("secret", Some(bad), SecretType::Hmac, &profile("standard")).is_err(), "{bad}");
            }
        });
    }

    #[test]
    fn rotation_keeps_the_old_secret_for_the_grace_period() {
        with_forge(|forge| {
            let mut endpoint = endpoint(&forge);
            let first = forge.current(&endpoint).unwrap();
            let second = forge.make(SecretType::Hmac);
            forge.rotate(&mut endpoint, &second, HOUR).unwrap();
            assert_eq!(endpoint.secrets.iter().map(|s| s.expires_at).collect::<Vec<_>>(), [Some(forge.now.plus(HOUR)), None]);
            assert_eq!(*forge.current(&endpoint).unwrap(), *second);
            assert_ne!(*first, *second);

            forge.rotate(&mut endpoint, &second, HOUR).unwrap();
            assert_eq!(endpoint.secrets.len(), 2, "the same secret again changes nothing");

            let later = Forge { now: forge.now.plus(HOUR), ..forge };
            later.rotate(&mut endpoint, &first, 2 * HOUR).unwrap();
            assert_eq!(endpoint.secrets.len(), 2, "what had run out is gone");
        });
    }

    #[test]
    fn no_grace_ends_every_old_secret_at_once() {
        with_forge(|forge| {
            let mut endpoint = endpoint(&forge);
            forge.rotate(&mut endpoint, &forge.make(SecretType::Hmac), HOUR).unwrap();
            forge.rotate(&mut endpoint, &forge.make(SecretType::Hmac), Duration::ZERO).unwrap();
            assert_eq!(endpoint.secrets.len(), 1);
        });
    }

    #[test]
    fn live_secrets_are_bounded() {
        with_forge(|forge| {
            let mut endpoint = endpoint(&forge);
            for _ in 1..MAX_LIVE {
                forge.rotate(&mut endpoint, &forge.make(SecretType::Hmac), HOUR).unwrap();
            }
            assert!(forge.rotate(&mut endpoint, &forge.make(SecretType::Hmac), HOUR).is_err());
            assert!(forge.rotate(&mut endpoint, &forge.make(SecretType::Hmac), Duration::ZERO).is_ok());
        });
    }
}

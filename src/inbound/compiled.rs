//! A source, ready to judge requests: secrets and settings open, verifier made, ranges of addresses parsed.

use super::State;
use crate::{
    crypto::{Vault, VaultError},
    model::{LATEST, Sealed, Secret, Source, SourceScheme, Time},
    outbound::{Cidr, CidrError},
};
use postrider_signature::{HandshakeKind, Provider, Refusal, Request, Scheme, SchemeError, Settings, Verified, Verifier, provider};
use sha2::{Digest, Sha256};
use std::{fmt, net::IpAddr, sync::Arc};
use zeroize::Zeroizing;

/// What the vault is told of a source's secrets.
pub const SECRET_PURPOSE: &str = "source secret";
/// What the vault is told of a source's settings.
pub const SETTING_PURPOSE: &str = "source setting";
/// What the vault is told of the tokens of a source's URL.
pub const TOKEN_PURPOSE: &str = "source token";

/// SHA-256 of a token.
pub(super) type Hash = [u8; 32];

/// The hash under which a token is found.
pub(super) fn hash_of(token: &str) -> Hash {
    Sha256::digest(token).into()
}

/// How a source's requests are judged, looked up.
#[derive(Clone, Debug)]
pub enum Rules {
    /// A row of the provider table.
    Provider(&'static Provider),
    /// A scheme of the owner's.
    Custom(Arc<Scheme>),
}

impl Rules {
    /// Looks up what a source names.
    ///
    /// # Errors
    /// There is no such provider, the scheme is not one.
    pub fn of(scheme: &SourceScheme) -> Result<Self, NotCompiled> {
        match scheme {
            SourceScheme::Provider(name) => {
                provider(name).map(Rules::Provider).ok_or_else(|| NotCompiled::UnknownProvider(name.clone()))
            }
            SourceScheme::Custom(text) => Ok(Rules::Custom(Arc::new(Scheme::from_json(text)?))),
        }
    }

    /// Whether sender and receiver have the same secret, so that the receiver can make one up.
    #[must_use]
    pub fn symmetric(&self) -> bool {
        match self {
            Rules::Provider(provider) => provider.symmetric(),
            Rules::Custom(scheme) => scheme.symmetric(),
        }
    }

    /// Whether the sender brings the secret in its handshake.
    #[must_use]
    pub fn brings_secret(&self) -> bool {
        let handshake = match self {
            Rules::Provider(provider) => provider.handshake,
            Rules::Custom(_) => None,
        };
        matches!(handshake, Some(HandshakeKind::Asana | HandshakeKind::Notion))
    }

    /// A verifier for these secrets, the one tried first in front.
    ///
    /// # Errors
    /// A secret or setting is missing, or not what the scheme needs.
    pub fn verifier(&self, secrets: &[&str], settings: &Settings) -> Result<Verifier, Refusal> {
        match self {
            Rules::Provider(provider) => Verifier::new(provider, secrets, settings),
            Rules::Custom(scheme) => Verifier::custom(scheme, secrets, settings),
        }
    }
}

/// Why a source cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotCompiled {
    /// A secret, setting or token does not decrypt.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A range of addresses is none.
    #[error(transparent)]
    Cidr(#[from] CidrError),
    /// The provider table has no such row.
    #[error("there is no provider {0}")]
    UnknownProvider(String),
    /// The owner's scheme is not one.
    #[error("the scheme cannot be used: {0}")]
    Scheme(#[from] SchemeError),
}

/// A secret's text.
struct Opened {
    text: Zeroizing<String>,
    until: Time,
}

/// What judges requests until an instant: then a secret runs out, and the next one takes over.
struct Judge {
    until: Time,
    verifier: Result<Verifier, Refusal>,
    /// By the source's further schemes; one that cannot use the secrets is left out.
    others: Vec<Verifier>,
}

/// A source, ready to judge requests.
pub struct Compiled {
    /// The record.
    pub source: Source,
    /// How its requests are judged.
    pub rules: Rules,
    /// Its settings, open.
    pub settings: Settings,
    /// From where it may be called; empty: from anywhere.
    pub allow: Vec<Cidr>,
    /// What it remembers between requests; the same for every form of the source.
    pub state: Arc<State>,
    secrets: Vec<Opened>,
    tokens: Vec<(Hash, Time)>,
    judges: Vec<Judge>,
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").field("source", &self.source.id).field("scheme", &self.source.scheme).finish_non_exhaustive()
    }
}

impl Compiled {
    /// Opens and prepares a source. A secret that its scheme cannot use is no error here: every request is refused with
    /// that reason ([`Refusal::BadSecret`], [`Refusal::MissingSetting`]), as it is while a source still awaits its secret.
    ///
    /// # Errors
    /// Something does not decrypt, or what was stored cannot be understood.
    pub fn new(source: Source, vault: &Vault, state: Arc<State>) -> Result<Self, NotCompiled> {
        let rules = Rules::of(&source.scheme)?;
        let mut secrets = source.secrets.iter().map(|secret| opened(secret, vault)).collect::<Result<Vec<_>, _>>()?;
        secrets.reverse();
        let open = |(name, sealed): (&String, &Sealed)| {
            vault.open_text(SETTING_PURPOSE, sealed).map(|value| (name.clone(), value.to_string()))
        };
        let settings = source.settings.iter().map(open).collect::<Result<Settings, _>>()?;
        let token = |token: &Secret| {
            vault.open_text(TOKEN_PURPOSE, &token.sealed).map(|text| (hash_of(&text), token.expires_at.unwrap_or(LATEST)))
        };
        let tokens = source.tokens.iter().map(token).collect::<Result<Vec<_>, _>>()?;
        let allow = source.allow_cidrs.iter().map(|text| text.parse()).collect::<Result<Vec<Cidr>, _>>()?;
        let others = source.alternatives.iter().map(Rules::of).collect::<Result<Vec<_>, _>>()?;
        let judges = judges((&rules, &others), &secrets, &settings);
        Ok(Compiled { source, rules, settings, allow, state, secrets, tokens, judges })
    }

    /// Judges a request.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn verify(&self, request: &Request<'_>, now: Time) -> Result<Verified, Refusal> {
        // X signs in its handshake what anybody asks for, as long as it holds no `{`: that must never pass for an event.
        let anybodys = self.provider().and_then(|provider| provider.handshake) == Some(HandshakeKind::X);
        if anybodys && !request.body.contains(&b'{') {
            return Err(Refusal::Malformed("the body".into(), "it holds no JSON object"));
        }
        let judge = self.judge(now)?;
        let mut refusal = match judge.verifier.as_ref().map_err(Clone::clone)?.verify(request, now.0) {
            Ok(verified) => return Ok(verified),
            Err(refusal) => refusal,
        };
        for other in &judge.others {
            match other.verify(request, now.0) {
                Ok(verified) => return Ok(verified),
                // What is wrong with a signature that is there says more than that another one is not.
                Err(told) if matches!(refusal, Refusal::MissingHeader(_)) => refusal = told,
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    fn judge(&self, now: Time) -> Result<&Judge, Refusal> {
        let judge = self.judges.iter().find(|judge| now < judge.until).or(self.judges.last());
        judge.ok_or(Refusal::BadSecret("there is none"))
    }

    /// What judges requests now.
    ///
    /// # Errors
    /// The source's own settings are wrong.
    pub fn verifier(&self, now: Time) -> Result<&Verifier, Refusal> {
        self.judge(now)?.verifier.as_ref().map_err(Clone::clone)
    }

    /// The secrets that are live, the current one first.
    #[must_use]
    pub fn secrets(&self, now: Time) -> Vec<&str> {
        self.secrets.iter().filter(|secret| now < secret.until).map(|secret| secret.text.as_str()).collect()
    }

    /// Until when the secrets that are live are good, in the order of [`Compiled::secrets`].
    pub fn ends(&self, now: Time) -> impl Iterator<Item = Time> {
        self.secrets.iter().map(|secret| secret.until).filter(move |until| now < *until)
    }

    /// Secrets that have run out and are still known.
    #[must_use]
    pub fn past(&self, now: Time) -> Vec<&str> {
        self.secrets.iter().filter(|secret| now >= secret.until).map(|secret| secret.text.as_str()).collect()
    }

    /// Whether it may be called from that address.
    #[must_use]
    pub fn allows(&self, from: IpAddr) -> bool {
        let from = from.to_canonical();
        self.allow.is_empty() || self.allow.iter().any(|range| range.contains(from))
    }

    /// The provider's name, unless the scheme is the owner's.
    #[must_use]
    pub fn provider(&self) -> Option<&'static Provider> {
        match &self.rules {
            Rules::Provider(provider) => Some(provider),
            Rules::Custom(_) => None,
        }
    }

    /// Whether events of this type, as the sender calls it, are routed.
    pub(super) fn lists(&self, event_type: Option<&str>) -> bool {
        let named = || event_type.unwrap_or_default().trim().to_lowercase();
        self.source.listed.is_empty() || self.source.listed.contains(&named())
    }

    /// The hashes of its tokens.
    pub(super) fn hashes(&self) -> impl Iterator<Item = Hash> {
        self.tokens.iter().map(|(hash, _)| *hash)
    }

    /// Whether the token with that hash is good now.
    pub(super) fn answers_to(&self, hash: &Hash, now: Time) -> bool {
        self.tokens.iter().any(|(known, until)| known == hash && now < *until)
    }
}

fn opened(secret: &Secret, vault: &Vault) -> Result<Opened, VaultError> {
    let text = vault.open_text(SECRET_PURPOSE, &secret.sealed)?;
    Ok(Opened { text, until: secret.expires_at.unwrap_or(LATEST) })
}

/// One judge for each span in which the same secrets are live, the earliest first. A verifier cannot forget a secret, and a
/// secret whose grace has ended must not open anything.
fn judges((rules, others): (&Rules, &[Rules]), secrets: &[Opened], settings: &Settings) -> Vec<Judge> {
    let mut ends: Vec<Time> = secrets.iter().map(|secret| secret.until).chain([LATEST]).collect();
    ends.sort_unstable();
    ends.dedup();
    let judge = |until: Time| {
        let live: Vec<&str> = secrets.iter().filter(|secret| secret.until >= until).map(|secret| secret.text.as_str()).collect();
        let others = others.iter().filter_map(|rules| rules.verifier(&live, settings).ok()).collect();
        Judge { until, verifier: rules.verifier(&live, settings), others }
    };
    ends.into_iter().map(judge).collect()
}

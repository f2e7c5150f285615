//! A source's secrets, settings and tokens: given or made, sealed, opened. No I/O.

use super::rules::MAX_LIVE;
use crate::{
    api::problem::Problem,
    crypto::{Vault, VaultError, hex},
    inbound::{Rules, SECRET_PURPOSE, SETTING_PURPOSE, TOKEN_PURPOSE},
    model::{Sealed, Secret, Time},
    random::Random,
};
use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use postrider_signature::{Refusal, Settings};
use std::{collections::BTreeMap, time::Duration};
use zeroize::Zeroizing;

/// Random bytes of a token of a receive URL.
const TOKEN_BYTES: usize = 32;
/// Random bytes of a secret that is made.
const SECRET_BYTES: usize = 32;

/// A secret's text.
pub(super) type Text = Zeroizing<String>;
/// Texts of secrets, the current one last.
pub(super) type Texts = Vec<Text>;

/// What seals and makes secrets.
#[derive(Clone, Copy)]
pub(super) struct Forge<'a> {
    pub(super) vault: &'a Vault,
    pub(super) random: &'a Random,
    pub(super) now: Time,
}

impl Forge<'_> {
    /// A fresh token of a receive URL, as the current one.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub(super) fn token(&self) -> Result<Secret, VaultError> {
        let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(*Zeroizing::new(self.random.bytes::<TOKEN_BYTES>())));
        self.seal(TOKEN_PURPOSE, &text)
    }

    /// The texts in place of the secrets that are there; what stays keeps its time.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub(super) fn replace(&self, known: &[Secret], texts: &[Text]) -> Result<Vec<Secret>, VaultError> {
        let same = |text: &Text| known.iter().find(|secret| self.open(SECRET_PURPOSE, secret).is_ok_and(|old| old == *text));
        let keep = |text: &Text| match same(text) {
            Some(secret) => Ok(Secret { expires_at: None, ..secret.clone() }),
            None => self.seal(SECRET_PURPOSE, text),
        };
        texts.iter().map(keep).collect()
    }

    /// Settings, sealed; what has not changed stays as it was.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub(super) fn settings(
        &self,
        settings: &BTreeMap<String, String>,
        known: &BTreeMap<String, Sealed>,
    ) -> Result<BTreeMap<String, Sealed>, VaultError> {
        let open = |sealed: &&Sealed, value: &str| self.vault.open_text(SETTING_PURPOSE, sealed).is_ok_and(|old| *old == value);
        let seal = |(name, value): (&String, &String)| {
            let sealed = match known.get(name).filter(|sealed| open(sealed, value)) {
                Some(sealed) => sealed.clone(),
                None => self.vault.seal(self.random, SETTING_PURPOSE, value.as_bytes())?,
            };
            Ok((name.clone(), sealed))
        };
        settings.iter().map(seal).collect()
    }

    /// The value of a setting.
    ///
    /// # Errors
    /// As [`Vault::open_text`].
    pub(super) fn setting(&self, sealed: &Sealed) -> Result<String, VaultError> {
        self.vault.open_text(SETTING_PURPOSE, sealed).map(|text| text.to_string())
    }

    /// A secret of our own making that these rules can use.
    ///
    /// # Errors
    /// A setting is missing; or only the sender can make the secret (a public key, a certificate).
    pub(super) fn make(&self, rules: &Rules, settings: &Settings) -> Result<Text, Problem> {
        let given = "This scheme verifies with a key or certificate of the sender's: give it as the secret.";
        let given = || Problem::field(&["body", "secret"], "missing", given);
        // Chance can look like a public key, and then nobody has its private half.
        if !rules.symmetric() {
            return Err(given());
        }
        let chance = Zeroizing::new(self.random.bytes::<SECRET_BYTES>());
        let forms = [URL_SAFE_NO_PAD.encode(*chance), format!("whsec_{}", STANDARD.encode(*chance)), hex(&*chance)];
        let forms = forms.into_iter().chain([format!("postrider:{}", URL_SAFE_NO_PAD.encode(*chance))]).map(Zeroizing::new);
        let mut refusal = Refusal::BadSecret("there is none");
        for text in forms {
            match rules.verifier(&[&text], settings) {
                Ok(_) => return Ok(text),
                Err(error) => refusal = error,
            }
        }
        Err(if matches!(refusal, Refusal::BadSecret(_)) { given() } else { unusable(&refusal) })
    }

    /// Puts a new current one in place; the one before it stays good for the grace period, those that have run out go.
    /// A grace period of zero ends all that are older. One that comes back is live once, as the current one.
    ///
    /// # Errors
    /// Too many are live; the vault refuses.
    pub(super) fn rotate(&self, (purpose, live): (&str, &mut Vec<Secret>), fresh: Secret, grace: Duration) -> Result<(), Problem> {
        let text = self.open(purpose, &fresh)?;
        let current = live.last().cloned();
        let mut kept = Vec::with_capacity(live.len() + 1);
        for mut secret in live.drain(..) {
            let end = self.now.plus(grace);
            let end = secret.expires_at.map_or(end, |known| known.min(end));
            secret.expires_at = Some(end);
            if end > self.now && self.open(purpose, &secret)? != text {
                kept.push(secret);
            }
        }
        if kept.len() >= MAX_LIVE {
            let rule = format!("At most {MAX_LIVE} are live at one time: wait until one runs out, or end them all with 0.");
            return Err(Problem::field(&["body", "gracePeriodSeconds"], "limit", rule));
        }
        let same = |secret: &Secret| self.open(purpose, secret).is_ok_and(|known| known == text);
        kept.push(current.filter(same).map_or(fresh, |known| Secret { expires_at: None, ..known }));
        *live = kept;
        Ok(())
    }

    /// Seals a text as the current one.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub(super) fn seal(&self, purpose: &str, text: &Text) -> Result<Secret, VaultError> {
        let sealed = self.vault.seal(self.random, purpose, text.as_bytes())?;
        Ok(Secret { sealed, created_at: self.now, expires_at: None })
    }

    /// The text of what was sealed for a purpose.
    ///
    /// # Errors
    /// As [`Vault::open_text`].
    pub(super) fn open(&self, purpose: &str, secret: &Secret) -> Result<Text, VaultError> {
        self.vault.open_text(purpose, &secret.sealed)
    }
}

/// What a scheme has against the secrets or settings that it was given.
pub(super) fn unusable(refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::MissingSetting(name) => {
            Problem::field(&["body", "settings", name], "missing", format!("The scheme needs the setting {name}."))
        }
        Refusal::Malformed(what, rule) if what.starts_with("the setting") => {
            Problem::field(&["body", "settings"], "pattern", format!("{what}: {rule}."))
        }
        other => Problem::field(&["body", "secret"], "secret", format!("Not usable with this scheme: {other}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SourceScheme;

    struct Bench(Vault, Random);

    impl Bench {
        fn new() -> Self {
            let random = Random::seeded(5);
            Bench(Vault::from_text(&Vault::new_key(&random)).unwrap(), random)
        }

        fn at(&self, now: u64) -> Forge<'_> {
            Forge { vault: &self.0, random: &self.1, now: Time(now) }
        }

        /// Rotates at an instant, in milliseconds; the texts and ends of what is live afterwards.
        fn rotate(&self, live: &mut Vec<Secret>, now: u64, text: &str, grace: u64) -> Result<Vec<(String, Option<u64>)>, Problem> {
            let forge = self.at(now);
            let fresh = forge.seal(SECRET_PURPOSE, &Text::new(text.to_owned()))?;
            forge.rotate((SECRET_PURPOSE, live), fresh, Duration::from_millis(grace))?;
            let shown =
                |secret: &Secret| (forge.open(SECRET_PURPOSE, secret).unwrap().to_string(), secret.expires_at.map(|end| end.0));
            Ok(live.iter().map(shown).collect())
        }
    }

    #[test]
    fn what_is_replaced_ends_after_its_grace_and_never_lives_longer() {
        let (bench, mut live) = (Bench::new(), Vec::new());
        let mut rotate = |now, text, grace| bench.rotate(&mut live, now, text, grace).unwrap();
        let entry = |text: &str, end| (text.to_owned(), end);
        assert_eq!(rotate(0, "a", 10), [entry("a", None)]);
        assert_eq!(rotate(5, "b", 10), [entry("a", Some(15)), entry("b", None)]);
        assert_eq!(rotate(6, "c", 100), [entry("a", Some(15)), entry("b", Some(106)), entry("c", None)]);
        assert_eq!(rotate(15, "d", 1), [entry("b", Some(16)), entry("c", Some(16)), entry("d", None)]);
        assert_eq!(rotate(15, "b", 1), [entry("c", Some(16)), entry("d", Some(16)), entry("b", None)], "it comes back");
        assert_eq!(rotate(15, "b", 0), [entry("b", None)], "all that are older end at once");
    }

    #[test]
    fn only_so_many_are_live() {
        let (bench, mut live) = (Bench::new(), Vec::new());
        for number in 0..MAX_LIVE {
            bench.rotate(&mut live, 0, &number.to_string(), 10).unwrap();
        }
        let kept = live.clone();
        bench.rotate(&mut kept.clone(), 10, "after the grace of all", 10).unwrap();
        assert!(bench.rotate(&mut live, 0, "one too many", 10).is_err());
    }

    #[test]
    fn what_stays_keeps_its_time_and_its_seal() {
        let bench = Bench::new();
        let texts = |texts: &[&str]| texts.iter().map(|text| Text::new((*text).to_owned())).collect::<Vec<_>>();
        let first = bench.at(1).replace(&[], &texts(&["a", "b"])).unwrap();
        let second = bench.at(2).replace(&first, &texts(&["b", "c"])).unwrap();
        assert_eq!((second[0].clone(), second[1].created_at), (first[1].clone(), Time(2)));
        let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let first = bench.at(1).settings(&pairs(&[("k", "v"), ("l", "w")]), &BTreeMap::new()).unwrap();
        let second = bench.at(2).settings(&pairs(&[("k", "v"), ("l", "x")]), &first).unwrap();
        assert!(second["k"] == first["k"] && second["l"] != first["l"]);
        assert!(bench.0.open_text(SECRET_PURPOSE, &first["k"]).is_err(), "a setting is no secret");
    }

    #[test]
    fn a_made_secret_is_one_that_the_scheme_can_use() {
        let (bench, settings) = (Bench::new(), Settings::new());
        let github = Rules::of(&SourceScheme::Provider("github".into())).unwrap();
        let (one, two) = (bench.at(0).make(&github, &settings).unwrap(), bench.at(0).make(&github, &settings).unwrap());
        assert!(one != two && one.len() >= 32 && github.verifier(&[&one], &settings).is_ok());
        let discord = Rules::of(&SourceScheme::Provider("discord".into())).unwrap();
        let Err(Problem::Invalid(faults)) = bench.at(0).make(&discord, &settings) else { panic!("a public key cannot be made") };
        assert_eq!(faults[0].loc, ["body", "secret"]);
    }
}

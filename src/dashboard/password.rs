//! Passwords: Argon2id, and patience with who guesses.

use crate::{api::Problem, model::Time, random::Random};
use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use parking_lot::Mutex;
use std::{collections::HashMap, time::Duration};
use tokio::{sync::Semaphore, task::spawn_blocking};

/// Memory of one hash, in KiB. These three are the first recommendation of the OWASP cheat sheet for Argon2id.
const MEMORY_KIB: u32 = 19_456;
/// Passes over the memory.
const PASSES: u32 = 2;
/// Lanes.
const LANES: u32 = 1;
/// Characters of a password at least (NIST SP 800-63B asks for 8; nothing else is asked of it).
pub(super) const MIN_PASSWORD: usize = 10;
/// Bytes of a password at most.
pub(super) const MAX_PASSWORD: usize = 1024;
/// Hashes that are computed at once: each takes memory and a core.
const AT_ONCE: usize = 2;
/// Wrong passwords for one name before it has to wait.
const FREE_TRIES: u32 = 5;
/// How long it then waits after each wrong one.
const WAIT: Duration = Duration::from_secs(30);
/// Names that are remembered at most.
const MAX_NAMES: usize = 10_000;

fn argon() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The hash of a password as it is stored, in the PHC format. It takes a moment: not for an asynchronous task.
///
/// # Errors
/// The password is too short or too long.
pub(super) fn hash_password(random: &Random, password: &str) -> Result<String, Problem> {
    check(password)?;
    let salt = random.bytes::<16>();
    let hash = argon().hash_password_with_salt(password.as_bytes(), &salt).map_err(|_| Problem::Internal)?;
    Ok(hash.to_string())
}

/// Whether a password may be one.
pub(super) fn check(password: &str) -> Result<(), Problem> {
    if password.chars().count() < MIN_PASSWORD {
        return Err(Problem::field(&["password"], "length", format!("A password has at least {MIN_PASSWORD} characters.")));
    }
    if password.len() > MAX_PASSWORD {
        return Err(Problem::field(&["password"], "length", format!("A password has at most {MAX_PASSWORD} bytes.")));
    }
    Ok(())
}

fn verifies(hash: &str, password: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| argon().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Bounds what guessing costs us, and what it brings.
#[derive(Debug)]
pub(super) struct Doorman {
    slots: Semaphore,
    wrong: Mutex<HashMap<String, Wrong>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Wrong {
    times: u32,
    last: Time,
}

impl Default for Doorman {
    fn default() -> Self {
        Doorman { slots: Semaphore::new(AT_ONCE), wrong: Mutex::default() }
    }
}

impl Doorman {
    /// Whether the password is right. A name that nobody has takes as long as one that somebody has.
    ///
    /// # Errors
    /// The name has been tried too often lately.
    pub(super) async fn admits(&self, login: &str, hash: Option<&str>, password: &str, now: Time) -> Result<bool, Problem> {
        // Counted before it is known to be wrong: guesses that come at once are as many as guesses that come in a row.
        if !self.may_try(login, now) {
            return Err(Problem::forbidden("Too many wrong passwords for this name. Wait half a minute and try again."));
        }
        let known = hash.is_some();
        let hash = hash.map_or_else(decoy, str::to_owned);
        let password = password.chars().take(MAX_PASSWORD).collect::<String>();
        let _slot = self.slots.acquire().await.map_err(|_| Problem::Internal)?;
        let right = spawn_blocking(move || verifies(&hash, &password)).await.map_err(|_| Problem::Internal)? && known;
        if right {
            self.wrong.lock().remove(login);
        }
        Ok(right)
    }

    /// Computes a hash, when there is room for it.
    pub(super) async fn hash(&self, random: &Random, password: &str) -> Result<String, Problem> {
        let _slot = self.slots.acquire().await.map_err(|_| Problem::Internal)?;
        tokio::task::block_in_place(|| hash_password(random, password))
    }

    /// Whether another try is free, which is then counted as a wrong one.
    fn may_try(&self, login: &str, now: Time) -> bool {
        let mut wrong = self.wrong.lock();
        let known = wrong.get(login).copied().unwrap_or_default();
        if known.times >= FREE_TRIES && now < known.last.plus(WAIT) {
            return false;
        }
        if wrong.len() >= MAX_NAMES {
            wrong.retain(|_, wrong| now < wrong.last.plus(WAIT));
        }
        if wrong.len() < MAX_NAMES || wrong.contains_key(login) {
            wrong.insert(login.to_owned(), Wrong { times: known.times.saturating_add(1), last: now });
        }
        true
    }
}

/// A hash of nothing that anybody knows, to be compared when there is no user.
fn decoy() -> String {
    format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_go_round_and_are_salted() {
        let random = Random::seeded(1);
        let [a, b] = [(); 2].map(|()| hash_password(&random, "correct horse").unwrap());
        assert!(a.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && a != b);
        assert!(verifies(&a, "correct horse") && !verifies(&a, "correct house") && !verifies("x", "correct horse"));
        assert!(hash_password(&random, "short").is_err() && hash_password(&random, &"x".repeat(2000)).is_err());
        assert!(PasswordHash::new(&decoy()).is_ok() && !verifies(&decoy(), ""));
    }

    #[tokio::test]
    async fn guessing_has_to_wait() {
        let doorman = Doorman::default();
        for _ in 0..FREE_TRIES {
            assert_eq!(doorman.admits("ann", None, "guess", Time(1)).await, Ok(false));
        }
        assert!(doorman.admits("ann", None, "guess", Time(2)).await.is_err());
        assert_eq!(doorman.admits("bob", None, "guess", Time(2)).await, Ok(false), "others do not wait");
        assert_eq!(doorman.admits("ann", None, "guess", Time(2).plus(WAIT)).await, Ok(false));
    }

    #[tokio::test]
    async fn guesses_that_come_at_once_are_counted_too() {
        let doorman = Doorman::default();
        let tries = futures_util::future::join_all((0..12).map(|_| doorman.admits("ann", None, "guess", Time(1)))).await;
        assert_eq!(tries.iter().filter(|tried| tried.is_ok()).count(), FREE_TRIES as usize);
        let hash = hash_password(&Random::seeded(1), "correct horse").unwrap();
        for _ in 0..FREE_TRIES + 1 {
            assert_eq!(
                doorman.admits("bob", Some(&hash), "correct horse", Time(1)).await,
                Ok(true),
                "a right one is not held against"
            );
        }
    }
}

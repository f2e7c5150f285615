//! Passwords: Argon2id, and patience with who guesses.

use crate::{
    api::Problem,
    crypto::fingerprint,
    model::{SessionId, Time},
    random::Random,
};
use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use parking_lot::Mutex;
use std::{collections::HashMap, hash::Hash, net::IpAddr, sync::Arc, time::Duration};
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
/// Hashes that are computed at once for anybody: each takes memory and a core.
const AT_ONCE: usize = 2;
/// Hashes that are computed at once, beside those, for people at addresses from which they have signed in.
const AT_ONCE_KNOWN: usize = 1;
/// Tries of one address that are under way: one is computed, the others wait for it.
const MAX_QUEUE: usize = 8;
/// Wrong passwords for one name from one address before it has to wait.
const FREE_TRIES: u32 = 5;
/// Wrong passwords for one name from all addresses before those wait from which nobody has signed in by that name.
const FREE_TRIES_ANYWHERE: u32 = 50;
/// How long one then waits after each wrong one.
const WAIT: Duration = Duration::from_secs(30);
/// After how long without a wrong one they are forgotten.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// Names, and names with addresses, that are remembered at most: beyond, the oldest are forgotten.
const MAX_KEPT: usize = 10_000;
/// Groups of an IPv6 address that tell one network from another: a customer has at least the 64 bits below.
const NETWORK_GROUPS: usize = 4;

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

/// From where somebody tries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Whence {
    /// An IPv4 address, or the network of an IPv6 address.
    Network(IpAddr),
    /// Somewhere that cannot be told.
    Unknown,
    /// A session of their own: they are signed in.
    Session(SessionId),
}

impl Whence {
    /// From this address. Whoever has one of IPv6 has a whole network of them.
    pub(super) fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Whence::Unknown,
            Some(IpAddr::V6(address)) => {
                let mut groups = address.segments();
                groups.iter_mut().skip(NETWORK_GROUPS).for_each(|group| *group = 0);
                Whence::Network(IpAddr::V6(groups.into()))
            }
            Some(address) => Whence::Network(address),
        }
    }
}

/// Bounds what guessing costs us, and what it brings.
#[derive(Debug)]
pub(super) struct Doorman {
    slots: Semaphore,
    known_slots: Semaphore,
    /// Who computes or waits, by where they are.
    queues: Mutex<HashMap<Whence, Arc<Semaphore>>>,
    tries: Mutex<Tries>,
}

/// What is remembered of tries. Names are kept as fingerprints, so that long ones take no more room.
#[derive(Debug, Default)]
struct Tries {
    /// Wrong passwords by name and address.
    wrong: HashMap<(String, Whence), Wrong>,
    /// The same, by name.
    anywhere: HashMap<String, Wrong>,
    /// When a name has last signed in from an address.
    known: HashMap<(String, Whence), Time>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Wrong {
    times: u32,
    last: Time,
}

impl Wrong {
    /// As of now: what is long ago is forgotten.
    fn at(self, now: Time) -> Self {
        if now < self.last.plus(FORGOTTEN) { self } else { Wrong::default() }
    }

    /// Whether another try has to wait, of which so many are free.
    fn waits(self, free: u32, now: Time) -> bool {
        self.times >= free && now < self.last.plus(WAIT)
    }
}

/// Keeps an entry; the oldest goes where there is no room.
fn keep<K: Clone + Eq + Hash, V>(map: &mut HashMap<K, V>, key: K, value: V, age: impl Fn(&V) -> Time) {
    if map.len() >= MAX_KEPT && !map.contains_key(&key) {
        let oldest = map.iter().min_by_key(|(_, value)| age(value)).map(|(key, _)| key.clone());
        if let Some(oldest) = oldest {
            map.remove(&oldest);
        }
    }
    map.insert(key, value);
}

impl Tries {
    /// Whether another try is free, which is then counted as a wrong one, and whether its name has signed in from there before.
    fn begin(&mut self, name: &str, whence: &Whence, now: Time) -> Option<bool> {
        let place = (name.to_owned(), whence.clone());
        let known = matches!(whence, Whence::Session(_)) || self.known.contains_key(&place);
        let here = self.wrong.get(&place).copied().unwrap_or_default().at(now);
        let anywhere = self.anywhere.get(name).copied().unwrap_or_default().at(now);
        // What strangers try elsewhere keeps nobody out of where they have been.
        if here.waits(FREE_TRIES, now) || (!known && anywhere.waits(FREE_TRIES_ANYWHERE, now)) {
            return None;
        }
        let more = |wrong: Wrong| Wrong { times: wrong.times.saturating_add(1), last: now };
        keep(&mut self.wrong, place, more(here), |wrong| wrong.last);
        keep(&mut self.anywhere, name.to_owned(), more(anywhere), |wrong| wrong.last);
        Some(known)
    }

    /// The password was right: of the wrong ones, those from there are forgotten, and this one was none.
    fn right(&mut self, name: &str, whence: &Whence, now: Time) {
        let place = (name.to_owned(), whence.clone());
        self.wrong.remove(&place);
        if let Some(wrong) = self.anywhere.get_mut(name) {
            wrong.times = wrong.times.saturating_sub(1);
        }
        if !matches!(whence, Whence::Session(_)) {
            keep(&mut self.known, place, now, |last| *last);
        }
    }
}

/// A place in the queue of an address, given up when the try ends.
struct Queued<'a> {
    doorman: &'a Doorman,
    whence: Whence,
    turn: Arc<Semaphore>,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let mut queues = self.doorman.queues.lock();
        // One is the map's, one ours.
        if Arc::strong_count(&self.turn) <= 2 {
            queues.remove(&self.whence);
        }
    }
}

impl Default for Doorman {
    fn default() -> Self {
        Doorman {
            slots: Semaphore::new(AT_ONCE),
            known_slots: Semaphore::new(AT_ONCE_KNOWN),
            queues: Mutex::default(),
            tries: Mutex::default(),
        }
    }
}

impl Doorman {
    /// Whether the password is right. A name that nobody has takes as long as one that somebody has.
    ///
    /// # Errors
    /// The name has been tried too often lately, from there or from everywhere; too many tries from there are under way.
    pub(super) async fn admits(
        &self,
        (login, whence): (&str, &Whence),
        hash: Option<&str>,
        password: &str,
        now: Time,
    ) -> Result<bool, Problem> {
        let queued = self.queue(whence)?;
        let name = fingerprint(login.as_bytes());
        // Counted before it is known to be wrong: guesses that come at once are as many as guesses that come in a row.
        let Some(known) = self.tries.lock().begin(&name, whence, now) else {
            return Err(Problem::forbidden("Too many wrong passwords for this name. Wait half a minute and try again."));
        };
        let exists = hash.is_some();
        let hash = hash.map_or_else(decoy, str::to_owned);
        let password = password.chars().take(MAX_PASSWORD).collect::<String>();
        // One after the other for each address, so that who tries many at once makes nobody else wait for them.
        let _turn = queued.turn.acquire().await.map_err(|_| Problem::Internal)?;
        let slots = if known { &self.known_slots } else { &self.slots };
        let _slot = slots.acquire().await.map_err(|_| Problem::Internal)?;
        let right = spawn_blocking(move || verifies(&hash, &password)).await.map_err(|_| Problem::Internal)? && exists;
        if right {
            self.tries.lock().right(&name, whence, now);
        }
        Ok(right)
    }

    /// Computes a hash, when there is room for it.
    pub(super) async fn hash(&self, random: &Random, password: &str) -> Result<String, Problem> {
        let _slot = self.slots.acquire().await.map_err(|_| Problem::Internal)?;
        tokio::task::block_in_place(|| hash_password(random, password))
    }

    /// A place in the queue of an address.
    fn queue(&self, whence: &Whence) -> Result<Queued<'_>, Problem> {
        let mut queues = self.queues.lock();
        let turn = queues.entry(whence.clone()).or_insert_with(|| Arc::new(Semaphore::new(1)));
        if Arc::strong_count(turn) > MAX_QUEUE {
            return Err(Problem::forbidden("Too many passwords are tried from your address at once. Try again in a moment."));
        }
        Ok(Queued { doorman: self, whence: whence.clone(), turn: turn.clone() })
    }
}

/// A hash of nothing that anybody knows, to be compared when there is no user.
fn decoy() -> String {
    format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        net::Ipv4Addr,
        sync::atomic::{AtomicUsize, Ordering},
    };

    #[test]
    fn passwords_go_round_and_are_salted() {
        let random = Random::seeded(1);
        let [a, b] = [(); 2].map(|()| hash_password(&random, "correct horse").unwrap());
        assert!(a.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && a != b);
        assert!(verifies(&a, "correct horse") && !verifies(&a, "correct house") && !verifies("x", "correct horse"));
        assert!(hash_password(&random, "short").is_err() && hash_password(&random, &"x".repeat(2000)).is_err());
        assert!(PasswordHash::new(&decoy()).is_ok() && !verifies(&decoy(), ""));
    }

    fn at(text: &str) -> Whence {
        Whence::of(Some(text.parse().unwrap()))
    }

    #[test]
    fn an_address_is_one_of_its_network() {
        assert_eq!(at("2001:db8:1:2::1"), at("2001:db8:1:2:ffff::9"));
        assert_ne!(at("2001:db8:1:2::1"), at("2001:db8:1:3::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
    }

    #[tokio::test]
    async fn guessing_has_to_wait() {
        let (doorman, here, there) = (Doorman::default(), at("192.0.2.1"), at("192.0.2.2"));
        for _ in 0..FREE_TRIES {
            assert_eq!(doorman.admits(("ann", &here), None, "guess", Time(1)).await, Ok(false));
        }
        assert!(doorman.admits(("ann", &here), None, "guess", Time(2)).await.is_err());
        assert_eq!(doorman.admits(("bob", &here), None, "guess", Time(2)).await, Ok(false), "others do not wait");
        assert_eq!(doorman.admits(("ann", &there), None, "guess", Time(2)).await, Ok(false), "nor does ann elsewhere");
        let later = Time(2).plus(WAIT);
        assert_eq!(doorman.admits(("ann", &here), None, "guess", later).await, Ok(false));
        assert!(doorman.admits(("ann", &here), None, "guess", later).await.is_err(), "one in half a minute");
        let much_later = later.plus(FORGOTTEN);
        for _ in 0..FREE_TRIES {
            assert_eq!(doorman.admits(("ann", &here), None, "guess", much_later).await, Ok(false));
        }
    }

    #[tokio::test]
    async fn strangers_keep_nobody_out() {
        let (doorman, home) = (Doorman::default(), at("192.0.2.1"));
        let hash = hash_password(&Random::seeded(1), "correct horse").unwrap();
        assert_eq!(doorman.admits(("ann", &home), Some(&hash), "correct horse", Time(1)).await, Ok(true));
        for stranger in 0..FREE_TRIES_ANYWHERE {
            let whence = Whence::of(Some(Ipv4Addr::from(0xc633_6400 + stranger).into()));
            assert_eq!(doorman.tries.lock().begin(&fingerprint(b"ann"), &whence, Time(2)), Some(false));
        }
        let elsewhere = doorman.admits(("ann", &at("203.0.113.1")), Some(&hash), "correct horse", Time(3)).await;
        assert!(elsewhere.is_err(), "guesses from many addresses are slowed too");
        assert_eq!(doorman.admits(("ann", &home), Some(&hash), "correct horse", Time(3)).await, Ok(true), "but not at home");
        let later = Time(3).plus(WAIT);
        assert_eq!(doorman.admits(("ann", &at("203.0.113.1")), Some(&hash), "correct horse", later).await, Ok(true));
    }

    #[tokio::test]
    async fn guesses_that_come_at_once_are_counted_too() {
        let (doorman, here) = (Doorman::default(), at("192.0.2.1"));
        let tries = (0..12).map(|_| doorman.admits(("ann", &here), None, "guess", Time(1)));
        let tries = futures_util::future::join_all(tries).await;
        assert_eq!(tries.iter().filter(|tried| tried.is_ok()).count(), FREE_TRIES as usize);
        let hash = hash_password(&Random::seeded(1), "correct horse").unwrap();
        for _ in 0..FREE_TRIES + 1 {
            assert_eq!(
                doorman.admits(("bob", &here), Some(&hash), "correct horse", Time(1)).await,
                Ok(true),
                "a right one is not held against"
            );
        }
        assert!(doorman.queues.lock().is_empty());
    }

    #[tokio::test]
    async fn many_tries_at_once_make_nobody_else_wait_for_them() {
        let (doorman, ended) = (Doorman::default(), AtomicUsize::new(0));
        let names: Vec<String> = (0..40).map(|number| format!("name{number}")).collect();
        let (there, here) = (at("192.0.2.1"), at("198.51.100.1"));
        let flood = names.iter().map(|name| async {
            let tried = doorman.admits((name, &there), None, "guess", Time(1)).await;
            tried.is_ok().then(|| ended.fetch_add(1, Ordering::Relaxed))
        });
        let other = async {
            assert_eq!(doorman.admits(("ann", &here), None, "guess", Time(1)).await, Ok(false));
            ended.load(Ordering::Relaxed)
        };
        let (computed, before) = futures_util::future::join(futures_util::future::join_all(flood), other).await;
        assert_eq!(computed.iter().flatten().count(), MAX_QUEUE);
        assert!(before < MAX_QUEUE, "{before} were computed first");
    }

    #[test]
    fn memory_is_bounded() {
        let mut tries = Tries::default();
        for number in 0..MAX_KEPT + 9 {
            assert!(tries.begin(&number.to_string(), &Whence::Unknown, Time(number as u64)).is_some());
        }
        assert_eq!((tries.wrong.len(), tries.anywhere.len()), (MAX_KEPT, MAX_KEPT));
        assert!(!tries.anywhere.contains_key("0") && tries.anywhere.contains_key(&(MAX_KEPT + 8).to_string()));
    }
}

//! Chance, handed in and never ambient: identifiers, keys and jitter. Seeded in tests.

use crate::model::{Time, next_number};
use parking_lot::Mutex;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

/// A source of chance that many tasks share.
#[derive(Debug)]
pub struct Random(Mutex<State>);

#[derive(Debug)]
struct State {
    rng: StdRng,
    last_id: u128,
}

impl Random {
    /// Seeded by the operating system.
    ///
    /// # Errors
    /// The operating system has no randomness to give.
    pub fn from_system() -> Result<Self, rand::rngs::SysError> {
        Ok(Self::with(StdRng::try_from_rng(&mut rand::rngs::SysRng)?))
    }

    /// The same chances for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::with(StdRng::seed_from_u64(seed))
    }

    fn with(rng: StdRng) -> Self {
        Random(Mutex::new(State { rng, last_id: 0 }))
    }

    /// The number of a new identifier, above all that this source has made.
    pub fn id(&self, now: Time) -> u128 {
        let mut state = self.0.lock();
        let random = (u128::from(state.rng.next_u64()) << 64) | u128::from(state.rng.next_u64());
        state.last_id = next_number(state.last_id, now, random);
        state.last_id
    }

    /// Fresh bytes for keys and nonces.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.lock().rng.fill_bytes(&mut bytes);
        bytes
    }

    /// A number from 0 (included) to 1 (excluded).
    #[must_use]
    pub fn unit(&self) -> f64 {
        self.0.lock().rng.random::<f64>()
    }
}

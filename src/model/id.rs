//! Identifiers: 128 bits, 48 of time and 80 of chance, printed as a prefix, 22 base-62 digits and 5 check digits (27 in
//! all, the length that the compatible clients' contract states). Their order, as numbers, bytes and text alike, is the
//! order in which they were made.

use crate::model::Time;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// Base-62 digits that 128 bits need.
const DIGITS: usize = 22;
/// Check digits behind them: a mistyped identifier is refused before anything is looked up.
const CHECK_DIGITS: usize = 5;
/// Base-62 digits that 64 bits hold.
const CHUNK_DIGITS: usize = 10;
/// One above the highest number of so many digits.
const CHUNK: u128 = 62u128.pow(CHUNK_DIGITS as u32);
/// In the order of their bytes, so that text sorts as the number does.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Bits of chance below the time.
const RANDOM_BITS: u32 = 80;

/// Makes the number of the next identifier: the time in front, chance behind it, and always above `previous`.
#[must_use]
pub fn next_number(previous: u128, now: Time, random: u128) -> u128 {
    let fresh = (u128::from(now.0) << RANDOM_BITS) | (random >> (128 - RANDOM_BITS));
    if fresh > previous { fresh } else { previous + 1 + (random & 0xffff) }
}

/// The text was not an identifier of the kind that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier of this kind")]
pub struct NotAnId;

/// A mix of the number's two halves (the finaliser of SplitMix64), from which the check digits are taken.
fn check_of(number: u128) -> u128 {
    let halves = [u64::try_from(number >> 64).unwrap_or(0), u64::try_from(number & u128::from(u64::MAX)).unwrap_or(0)];
    let mut mixed = 0x9e37_79b9_7f4a_7c15u64;
    for half in halves {
        mixed ^= half;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
    }
    u128::from(mixed) % 62u128.pow(CHECK_DIGITS as u32)
}

fn write_base62<const N: usize>(mut number: u128) -> [u8; N] {
    let mut digits = [b'0'; N];
    // In chunks of 64 bits: dividing 128 bits costs many times as much.
    for chunk in digits.rchunks_mut(CHUNK_DIGITS) {
        let mut low = u64::try_from(number % CHUNK).unwrap_or(0);
        number /= CHUNK;
        for slot in chunk.iter_mut().rev() {
            let digit = usize::try_from(low % 62).unwrap_or(0);
            *slot = ALPHABET.get(digit).copied().unwrap_or(b'0');
            low /= 62;
        }
    }
    digits
}

fn read_checked(text: &str) -> Option<u128> {
    let (number, check) = text.split_at_checked(DIGITS)?;
    let number = read_base62(number)?;
    (check.len() == CHECK_DIGITS && read_base62(check)? == check_of(number)).then_some(number)
}

fn read_base62(text: &str) -> Option<u128> {
    text.bytes().try_fold(0u128, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            b'a'..=b'z' => byte - b'a' + 36,
            _ => return None,
        };
        number.checked_mul(62)?.checked_add(u128::from(digit))
    })
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u128);

        impl $name {
            /// What its text starts with.
            pub const PREFIX: &'static str = $prefix;

            /// The sixteen bytes that store keys hold; they sort as the number does.
            #[must_use]
            pub fn bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }

            /// The identifier in the first sixteen of these bytes.
            #[must_use]
            pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk::<16>().map(|b| $name(u128::from_be_bytes(*b)))
            }

            /// Whether the text has this kind's form, be it an identifier or a mistyped one.
            #[must_use]
            pub fn looks_like(text: &str) -> bool {
                let rest = text.strip_prefix($prefix);
                rest.is_some_and(|r| r.len() == DIGITS + CHECK_DIGITS && r.bytes().all(|b| b.is_ascii_alphanumeric()))
            }

            /// When it was made.
            #[must_use]
            pub fn time(self) -> Time {
                Time(u64::try_from(self.0 >> RANDOM_BITS).unwrap_or(0))
            }

            /// The lowest identifier of that instant: a bound for ranges.
            #[must_use]
            pub fn lowest_at(time: Time) -> Self {
                $name(u128::from(time.0) << RANDOM_BITS)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Written at once, so that a string takes its memory at once.
                let parts: [&[u8]; 3] =
                    [$prefix.as_bytes(), &write_base62::<DIGITS>(self.0), &write_base62::<CHECK_DIGITS>(check_of(self.0))];
                let mut text = [0; $prefix.len() + DIGITS + CHECK_DIGITS];
                for (slot, byte) in text.iter_mut().zip(parts.into_iter().flatten()) {
                    *slot = *byte;
                }
                f.write_str(std::str::from_utf8(&text).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                text.strip_prefix($prefix).and_then(read_checked).map($name).ok_or(NotAnId)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                if to.is_human_readable() { to.collect_str(self) } else { to.serialize_u128(self.0) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                if from.is_human_readable() {
                    let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    u128::deserialize(from).map($name)
                }
            }
        }
    )*};
}

ids! {
    /// Owner of everything below it.
    OrgId = "org_";
    /// One consumer of the organization's webhooks.
    AppId = "app_";
    /// A URL that receives an application's messages.
    EndpointId = "ep_";
    /// One event with its payload.
    MsgId = "msg_";
    /// One HTTP try of a delivery.
    AttemptId = "atmpt_";
    /// One message × one endpoint, as receivers and logs see it. It is a function of both.
    DeliveryId = "dlv_";
    /// A token's public name.
    KeyId = "key_";
    /// A background task.
    TaskId = "qtask_";
    /// An event type's internal name in events about it.
    EventTypeId = "evtype_";
    /// A public receive URL for a third party.
    SourceId = "src_";
    /// A change of configuration.
    AuditId = "audit_";
    /// A request that a source refused.
    RejectionId = "rej_";
    /// A person who may sign in.
    UserId = "user_";
    /// A person who is signed in, or a link to sign in once.
    SessionId = "sess_";
    /// A rule that tells how endpoints do.
    AlertId = "alert_";
    /// What a rule had to tell.
    NoticeId = "notice_";
}

impl DeliveryId {
    /// The delivery of that message to that endpoint: the message's time in front, a hash of both behind it.
    #[must_use]
    pub fn of(msg: MsgId, endpoint: EndpointId) -> Self {
        let hash = Sha256::new_with_prefix(msg.bytes()).chain_update(endpoint.bytes()).finalize();
        let hash = hash.first_chunk().map(|bytes| u128::from_be_bytes(*bytes)).unwrap_or_default();
        DeliveryId(Self::lowest_at(msg.time()).0 | (hash >> (128 - RANDOM_BITS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_round_and_sorts_like_the_number() {
        let (a, b) = (MsgId(u128::MAX), MsgId(1 << 100));
        assert_eq!(a.to_string().parse(), Ok(a));
        assert_eq!(b.to_string().parse(), Ok(b));
        assert!(a.to_string() > b.to_string() && a.bytes() > b.bytes());
        assert_eq!(b.to_string().len(), "msg_".len() + 27);
    }

    #[test]
    fn foreign_text_is_refused() {
        let good = MsgId(77).to_string();
        let mistyped = good.replace("1F", "1G");
        assert_ne!(good, mistyped);
        assert!(MsgId::looks_like(&good) && MsgId::looks_like(&mistyped) && !MsgId::looks_like("msg_1"));
        for text in ["", "msg_", &good.replace("msg", "app"), &mistyped, &good[..30], "msg_zzzzzzzzzzzzzzzzzzzzzzzzzzz", "msg_é"] {
            assert_eq!(text.parse::<MsgId>(), Err(NotAnId), "{text}");
        }
    }

    #[test]
    fn numbers_grow_even_when_the_clock_steps_back() {
        let first = next_number(0, Time(1000), u128::MAX);
        let second = next_number(first, Time(10), 0);
        assert!(second > first);
        assert_eq!(MsgId(first).time(), Time(1000));
    }
}

//! The flow of a message: accept → match → sign → deliver → record → retry.
//!
//! ```text
//!             accept                    attempt succeeds
//!  (message) ───────▶ pending ──▶ in flight ───────────▶ delivered
//!                     ▲  │  ▲         │
//!          enable     │  │  │         │ attempt fails, a retry is left: pending(due_at)
//!        held ────────┘  │  └─────────┤
//!          ▲   disable   │            │ attempt fails, none is left, or the failure is final
//!          └─────────────┤            └──────────▶ exhausted ──recover──▶ pending
//!                        │ endpoint deleted, or somebody cancels it
//!                        └─────────────▶ cancelled
//! ```
//! `held` and `in flight` are not written: the first is pending at a disabled endpoint, the second pending under a lease.
//! An attempt that is in flight when its delivery is cancelled is recorded: its success wins, its failure changes nothing.
//! A manual attempt (resend) may start from any state and never takes away a scheduled one, unless it succeeds.

mod accept;
mod agreement;
mod audit;
mod cancel;
mod configure;
mod deliver;
mod dispatch;
mod engine;
mod follow;
mod gone;
mod health;
mod history;
mod ledger;
pub mod matching;
mod notify;
mod ordering;
mod pace;
mod performance;
mod record;
mod replay;
mod retention;
pub mod retry;
mod rotation;
pub mod signing;
#[cfg(test)]
mod simulation;
mod sources;

pub use accept::{Draft, Mark};
pub use audit::{AUDITED, Actor};
pub use cancel::Cancel;
pub use engine::{Engine, Parts, Settings};
pub use history::{Entry, History, Place, Sought, Standing, StandingWord};
pub use ledger::{Fate, LedgerEntry, LedgerPage, LedgerPlace, SETTLED_AFTER, Why, why_skipped};
pub use pace::Paces;
pub use performance::{MEASURED, Performance};
pub use replay::Counted;
pub use retention::{Outlives, Retentions};
pub use rotation::{KeyFile, ROTATION_PURPOSE};
pub use sources::SourceTable;

//! `postrider verify` and `postrider sign`: signatures of webhooks, for whoever debugs one. No server is needed.

mod given;
mod sign;
mod vectors;
mod verify;

pub(super) use sign::{SignArgs, run as sign};
pub(super) use verify::{VerifyArgs, run as verify};

#[cfg(test)]
mod tests;

//! Parsers that face the network, each as a function of any bytes that may not panic. `cargo fuzz` drives them with libFuzzer
//! (`fuzz_targets/`), and the tests of the product with chance of their own (`tests/fuzz/`).

pub mod answer;
pub mod envelope;
pub mod filter;
pub mod form;
pub mod handshake;
pub mod headers;
pub mod jwt;
pub mod page;
pub mod proxy;
pub mod row;
pub mod scheme;
pub mod shape;
pub mod split;
pub mod target;
pub mod token;
pub mod verify;

/// A parser, to be called with any bytes.
pub type Parser = fn(&[u8]);

/// All of them, by the names of their targets.
pub const ALL: [(&str, Parser); 15] = [
    ("answer", answer::run),
    ("envelope", envelope::run),
    ("filter", filter::run),
    ("form", form::run),
    ("handshake", handshake::run),
    ("headers", headers::run),
    ("jwt", jwt::run),
    ("page", page::run),
    ("proxy", proxy::run),
    ("row", row::run),
    ("scheme", scheme::run),
    ("split", split::run),
    ("target", target::run),
    ("token", token::run),
    ("verify", verify::run),
];

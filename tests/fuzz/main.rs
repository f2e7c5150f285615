//! Every parser that faces the network takes any bytes without a panic: samples, and what chance makes of them. `cargo fuzz`
//! drives the same functions for longer, and knows which bytes lead where (`fuzz/`).
//!
//! The seed is printed; `POSTRIDER_FUZZ_SEED` sets it, `POSTRIDER_FUZZ_TRIES` how many tries each parser gets.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets the unexpected ends there")]

#[allow(clippy::missing_docs_in_private_items, missing_docs, unreachable_pub, reason = "it is a package of its own")]
#[path = "../../fuzz/src/lib.rs"]
mod parsers;

use rand::{
    Rng, RngExt, SeedableRng, TryRng,
    rngs::{StdRng, SysRng},
};
use std::{
    collections::HashSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

/// Tries of each parser.
const TRIES: usize = 3000;
/// Bytes of a try at most.
const LONGEST: usize = 2000;
/// What parsers stumble over.
const TOKENS: [&[u8]; 24] = [
    b"\0",
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"\"",
    b"{",
    b"}",
    b"[",
    b",",
    b";",
    b"=",
    b":",
    b".",
    b"-1",
    b"18446744073709551616",
    b"1e999",
    b"\xff\xfe",
    b"\xe2\x80\xae",
    b"%00",
    b"{{",
    b"}}",
    b"content-length: ",
    b"transfer-encoding: chunked",
    b"\\ud800",
];

/// The samples of a target.
fn samples(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/samples").join(name);
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

/// One of the samples, changed in a few places.
fn changed(samples: &[Vec<u8>], rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = samples[rng.random_range(0..samples.len())].clone();
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..=bytes.len());
        let to = rng.random_range(at..=bytes.len().min(at + 20));
        match rng.random_range(0..5) {
            0 => drop(bytes.drain(at..to)),
            1 => drop(bytes.splice(at..at, TOKENS[rng.random_range(0..TOKENS.len())].iter().copied())),
            2 => drop(bytes.splice(at..to, (0..to - at).map(|_| rng.next_u32() as u8).collect::<Vec<_>>())),
            3 => {
                let other = &samples[rng.random_range(0..samples.len())];
                let from = rng.random_range(0..=other.len());
                drop(bytes.splice(at.., other[from..].iter().copied()));
            }
            _ => drop(bytes.splice(at..at, bytes[at..to].to_vec())),
        }
        bytes.truncate(LONGEST);
    }
    bytes
}

#[test]
fn parsers_take_anything() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("POSTRIDER_FUZZ_SEED").unwrap_or_else(|| SysRng.try_next_u64().unwrap());
    let tries = number("POSTRIDER_FUZZ_TRIES").map_or(TRIES, |tries| usize::try_from(tries).unwrap());
    println!("seed {seed} (POSTRIDER_FUZZ_SEED={seed} runs it again)");
    for (name, parser) in parsers::ALL {
        let mut rng = StdRng::seed_from_u64(seed);
        let samples = samples(name);
        let random = (0..tries).map(|_| changed(&samples, &mut rng));
        for bytes in samples.iter().cloned().chain(random) {
            let taken = catch_unwind(AssertUnwindSafe(|| parser(&bytes)));
            assert!(taken.is_ok(), "{name} panics at {:?} (seed {seed})", String::from_utf8_lossy(&bytes));
        }
    }
}

/// What `cargo fuzz` finds is what is tested here.
#[test]
fn every_parser_is_a_target_of_cargo_fuzz() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let names: HashSet<String> = parsers::ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    let files = fs::read_dir(folder.join("fuzz_targets")).unwrap();
    let targets: HashSet<String> =
        files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(names, targets);
    for name in names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        let target = fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(target.contains(&format!("postrider_fuzz::{name}::run")), "{target}");
    }
}

//! The published client libraries, unchanged, run whole flows against the real binary. `./test` installs them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets the unexpected ends there")]

#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use support::{ADMIN_KEY, Server};
use tokio::process::Command;

/// Methods that the contract covers, as the Python client has them: one for each of its 43 operations but `HEAD` (twice)
/// and the ping, and one that only adds a parameter.
const PYTHON_METHODS: usize = 41;
/// The same in the JavaScript client, and its helper for raw payloads.
const JS_METHODS: usize = 42;

#[tokio::test]
async fn python() {
    let interpreter = installed("venv/bin/python");
    run(Command::new(interpreter).arg(script("python/flow.py")), PYTHON_METHODS).await;
}

#[tokio::test]
async fn javascript() {
    // Beside its packages, where node looks for them.
    let folder = installed("clients-js");
    std::fs::copy(script("js/flow.mjs"), folder.join("flow.mjs")).unwrap();
    run(Command::new("node").arg(folder.join("flow.mjs")), JS_METHODS).await;
}

/// Runs a script against a fresh server; it must end well and have called that many methods.
async fn run(command: &mut Command, methods: usize) {
    let server = Server::start().await;
    let output = command.arg(server.url()).arg(ADMIN_KEY).output().await.unwrap();
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{said}\n{failed}", output.status);
    let called = said.lines().filter(|line| line.starts_with("ok ")).count();
    assert_eq!(called, methods, "{said}");
    assert!(said.ends_with(&format!("{methods} methods\n")), "{said}");
    println!("{said}");
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// Something that `./test` has put below the build folder.
fn installed(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let path = target.join(name);
    assert!(path.exists(), "{} is absent: `./test` installs it", path.display());
    path
}

//! The dashboard in a real browser (headless Chromium): first run to first delivered message, a failing endpoint found, fixed
//! and replayed, strangers' markup, filters and paging, dark mode, small screens, the keyboard, and axe-core on every page.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets the unexpected ends there")]

#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use support::{ADMIN_KEY, Server};
use tokio::process::Command;

/// Checks of the flow, each a line of its script.
const CHECKS: usize = 14;

#[tokio::test]
async fn dashboard() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let axe = target.join("clients-js/node_modules/axe-core/axe.min.js");
    assert!(axe.exists(), "{} is absent: `./test` installs it", axe.display());
    let server = Server::start().await;
    let output = Command::new("node")
        .arg(script("dashboard.mjs"))
        .args([server.link().await, ADMIN_KEY.to_owned()])
        .args([&axe, &target.join("screenshots")])
        .output()
        .await
        .unwrap();
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{said}\n{failed}", output.status);
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), CHECKS, "{said}");
    println!("{said}");
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser").join(name)
}

//! The dashboard in a real browser (headless Chromium): first run to first delivered message, a failing endpoint found, fixed
//! and replayed, strangers' markup, filters and paging, dark mode, small screens, the keyboard, and axe-core on every page.
//! Every form of the settings, with a provider to sign in by and a mail server. The portal as its customers see it: in a frame on another site, by links that end and links that only look.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets the unexpected ends there")]

#[allow(dead_code, unreachable_pub, reason = "the browser needs a part of it")]
#[path = "../alerts/catcher.rs"]
mod catcher;
#[allow(dead_code, unreachable_pub, reason = "the browser needs a part of it")]
#[path = "../people/provider.rs"]
mod provider;
#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use support::{ADMIN_KEY, Options, Server};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

/// Checks of the flow, each a line of its script.
const CHECKS: usize = 19;
/// The same of the settings'.
const SETTINGS_CHECKS: usize = 12;
/// The same of the portal's.
const PORTAL_CHECKS: usize = 13;

#[tokio::test]
async fn dashboard() {
    let server = Server::start().await;
    let said = run("dashboard.mjs", &[server.link().await, ADMIN_KEY.to_owned()]).await;
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), CHECKS, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings() {
    let (provider, mail) = (provider::Provider::start().await, catcher::Catcher::start().await);
    let args = vec![
        format!("--oidc-issuer={}", provider.issuer()),
        format!("--oidc-client-id={}", provider::CLIENT),
        "--oidc-role-claim=groups".into(),
        "--oidc-roles=ops=operator,root=admin".into(),
        format!("--smtp=smtp+plain://127.0.0.1:{}", mail.port()),
        "--mail-from=Hooks <hooks@example.com>".into(),
    ];
    let env = vec![("POSTRIDER_OIDC_CLIENT_SECRET".into(), provider::SECRET.into())];
    let server = Server::start_with(Options { args, env }).await;
    let said = run("settings.mjs", &[server.link().await, provider.issuer(), ADMIN_KEY.to_owned()]).await;
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), SETTINGS_CHECKS, "{said}");
    let letters = mail.caught();
    assert_eq!(letters.len(), 2, "each address gets its own");
    assert!(letters.iter().all(|letter| letter.header("subject").ends_with(": a test")), "{letters:?}");
}

/// The page of another site that has the portal in a frame: which URL is said behind its `#`.
const AROUND: &str = "<!doctype html><html lang=\"en\"><title>Shop admin</title>\
<style>body{font:16px sans-serif;margin:0;background:#e8eef5}header{padding:16px 24px;background:#123;color:#fff}\
iframe{border:0;width:100%;height:820px;display:block}</style><header>Shop admin, Settings, Webhooks</header>\
<main><iframe title=\"Webhooks\"></iframe></main>\
<script>document.querySelector('iframe').src = decodeURIComponent(location.hash.slice(1))</script></html>";

/// A site of somebody else's; answers with its port.
async fn around() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _asked = stream.read(&mut request).await;
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    AROUND.len()
                );
                let _sent = stream.write_all((head + AROUND).as_bytes()).await;
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn portal() {
    let port = around().await;
    let logo = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        logo.path(),
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 148 32\"><circle cx=\"16\" cy=\"16\" r=\"13\" fill=\"#0b7a75\"/>\
         <path d=\"M9 20l7-9 7 9z\" fill=\"#fff\"/><text x=\"36\" y=\"22\" font-family=\"sans-serif\" font-size=\"18\" \
         font-weight=\"700\" fill=\"#0b7a75\">Northwind</text></svg>",
    )
    .unwrap();
    let origin = format!("http://localhost:{port}");
    let set = |name: &str, value: &str| (format!("POSTRIDER_PORTAL_{name}"), value.to_owned());
    let env = vec![
        set("NAME", "Northwind"),
        set("LOGO", logo.path().to_str().unwrap()),
        set("COLOR", "#5eead4"),
        set("DARK_COLOR", "#0b5a56"),
        set("ORIGINS", &origin),
    ];
    let server = Server::start_with(Options { env, ..Options::default() }).await;
    let said = run("portal.mjs", &[server.url(), origin, ADMIN_KEY.to_owned()]).await;
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), PORTAL_CHECKS, "{said}");
    let token = |line: &String| line.contains("prp_");
    assert!(!server.log().iter().any(token), "a token is in the log");
}

/// Runs a script with what is the same for all of them behind its own arguments; what it prints.
async fn run(name: &str, args: &[String]) -> String {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let axe = target.join("clients-js/node_modules/axe-core/axe.min.js");
    assert!(axe.exists(), "{} is absent: `./test` installs it", axe.display());
    let output =
        Command::new("node").arg(script(name)).args(args).args([&axe, &target.join("screenshots")]).output().await.unwrap();
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{said}\n{failed}", output.status);
    println!("{said}");
    said.into_owned()
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser").join(name)
}

//! TLS to the database, with a root of one's own.

use crate::{
    own::Own,
    send,
    support::{self, Options, Receiver, Server},
    tenant,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use rcgen::{CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A root, and a certificate of it for `localhost` with its key.
fn certificates() -> [String; 3] {
    let mut root = CertificateParams::new(vec![]).unwrap();
    root.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root_key = KeyPair::generate().unwrap();
    let root_certificate = root.self_signed(&root_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
    [pem("CERTIFICATE", root_certificate.der()), pem("CERTIFICATE", leaf.der()), pem("PRIVATE KEY", &key.serialize_der())]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_reached_over_tls_and_proves_itself() {
    let (own, url) = Own::start();
    let [root, certificate, key] = certificates();
    let root = own.keep("root.pem", &root).display().to_string();
    let (certificate, key) = (own.keep("server.pem", &certificate), own.keep("server.key", &key));
    own.run(&["secure", certificate.to_str().unwrap(), key.to_str().unwrap()]);
    let port = url.rsplit_once(':').unwrap().1;
    let at = |host: &str, more: &str| format!("postgres://postrider@{host}:{port}/postgres?{more}");

    let refused = |store: String, word: &str| {
        let done = support::run(&["migrate", "--store", &store]);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success() && said.contains(word), "{store}: {said}");
    };
    refused(at("localhost", "sslmode=disable"), "pg_hba.conf");
    refused(at("localhost", "sslmode=require"), "certificate");
    refused(at("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={root}")), "certificate");

    let store = at("localhost", &format!("sslmode=verify-full&sslrootcert={root}"));
    let server = Server::start_as(Options { args: vec![], env: vec![("POSTRIDER_STORE".into(), store)] }).await;
    let receiver = Receiver::start().await;
    let (app, _) = tenant(&server.api(), &receiver.url("/x"), json!({})).await;
    send(&server.api(), &app, 1).await;
    receiver.wait("/x", 1).await;
}

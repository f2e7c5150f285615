//! A site: a server that trusts the certificate of the receivers, and the callers of two organizations.

use crate::{
    example::Example,
    support::{ADMIN_KEY, Api, JWT_SECRET, Options, Server, eventually, run},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use postrider::model::OrgId;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use sha2::Sha256;
use std::path::Path;

/// How many times faster than its schedule a failed delivery is tried again.
pub(crate) const SPEED: u32 = 1000;

/// A server, and where the certificate of its receivers is.
pub(crate) struct Site {
    pub(crate) server: Server,
    /// With an API key.
    pub(crate) api: Api,
    tls: tempfile::TempDir,
}

impl Site {
    /// A fresh server.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A fresh server with more settings, by their variables' names without the prefix.
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_with_args(settings, &[]).await
    }

    /// A fresh server with more settings and more arguments.
    pub(crate) async fn start_with_args(settings: &[(&str, &str)], args: &[&str]) -> Self {
        let tls = tempfile::tempdir().unwrap();
        certify(tls.path());
        let mut env = vec![
            ("POSTRIDER_CA_FILE".to_owned(), tls.path().join("cert.pem").display().to_string()),
            ("POSTRIDER_RETRY_SPEED".to_owned(), SPEED.to_string()),
        ];
        env.extend(settings.iter().map(|(name, value)| (format!("POSTRIDER_{name}"), (*value).to_owned())));
        let server = Server::start_with(Options { env, args: args.iter().map(ToString::to_string).collect() }).await;
        Site { api: server.api(), server, tls }
    }

    /// A receiver from `examples/` over https.
    pub(crate) fn example(&self, name: &str, args: &[&str]) -> Example {
        Example::start(name, Some(self.tls.path()), args)
    }

    /// A receiver from `examples/` over plain http.
    pub(crate) fn plain_example(&self, name: &str, args: &[&str]) -> Example {
        Example::start(name, None, args)
    }

    /// Waits until the demonstration sends its messages.
    pub(crate) async fn demo_is_ready(&self) {
        eventually("the demonstration runs", || async {
            let listed = self.api.get("/api/v1/app/demo/msg").await;
            (listed.status == 200 && listed.json()["data"].as_array().is_some_and(|data| !data.is_empty())).then_some(())
        })
        .await;
    }

    /// A user's session.
    pub(crate) async fn session(&self) -> Api {
        session_of(&self.api).await
    }

    /// Writes the event types of a system, as an operator does.
    pub(crate) fn seed(&self, system: &str) {
        let done = run(&["systems", "seed", system, "--url", &self.server.url(), "--key", ADMIN_KEY]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Another organization's API key.
    pub(crate) fn stranger(&self) -> Api {
        let claims = json!({"sub": OrgId(77).to_string(), "exp": jiff::Timestamp::now().as_second() + 600});
        let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(json!({"alg": "HS256", "typ": "JWT"})), part(claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(JWT_SECRET.as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        self.api.with_token(&format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())))
    }

    /// An application; its id.
    pub(crate) async fn app(&self, uid: &str) -> String {
        let made = self.api.post("/api/v1/app", &json!({"name": uid, "uid": uid}).to_string()).await.expect(201);
        made["id"].as_str().unwrap().to_owned()
    }

    /// Sends a message to an application; its id.
    pub(crate) async fn send(&self, app: &str, event_type: &str, payload: &Value) -> String {
        let body = json!({"eventType": event_type, "payload": payload}).to_string();
        let sent = self.api.post(&format!("/api/v1/app/{app}/msg"), &body).await.expect(202);
        sent["id"].as_str().unwrap().to_owned()
    }
}

/// Whether a text is a UUID, with the marks of its version.
pub(crate) fn is_uuid(text: &str) -> bool {
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    let digits = text.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
    let marks = text.get(14..15).is_some_and(|v| "12345678".contains(v)) && text.get(19..20).is_some_and(|v| "89ab".contains(v));
    lengths == [8, 4, 4, 4, 12] && digits && marks
}

/// The instant of an RFC 3339 text, in seconds.
pub(crate) fn seconds(value: &Value) -> Option<i64> {
    Some(value.as_str()?.parse::<jiff::Timestamp>().ok()?.as_second())
}

/// A session of the caller's organization.
pub(crate) async fn session_of(key: &Api) -> Api {
    let made = key.post("/api/v1/session", "{}").await.expect(201);
    assert!(made["expiresAt"].is_string(), "a session ends: {made}");
    key.with_token(made["token"].as_str().unwrap())
}

/// Makes a certificate for the receivers.
fn certify(folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2099, 1, 1);
    let pem = |label: &str, der: &[u8]| {
        let text = BASE64_STANDARD.encode(der);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    };
    std::fs::write(folder.join("cert.pem"), pem("CERTIFICATE", params.self_signed(&key).unwrap().der())).unwrap();
    std::fs::write(folder.join("key.pem"), pem("PRIVATE KEY", key.serialized_der())).unwrap();
}

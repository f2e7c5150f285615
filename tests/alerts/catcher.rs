//! A small mail server that keeps what it gets, and misbehaves when it is told to.

use crate::support::eventually;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

/// A letter as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caught {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) data: String,
    /// The name that signed in, if one did.
    pub(crate) user: Option<String>,
    /// Whether it came by TLS.
    pub(crate) secure: bool,
}

impl Caught {
    /// A header, with its folds undone.
    pub(crate) fn header(&self, name: &str) -> String {
        let (head, _) = self.data.split_once("\r\n\r\n").unwrap();
        let unfolded = head.replace("\r\n ", " ");
        let line = unfolded.lines().find(|line| line.to_lowercase().starts_with(&format!("{}:", name.to_lowercase())));
        line.map(|line| line.split_once(':').unwrap().1.trim().to_owned()).unwrap_or_default()
    }

    /// Its text with the transfer encoding (quoted-printable) undone, as far as these tests need it.
    pub(crate) fn text(&self) -> String {
        self.data.replace("=\r\n", "").replace("=3D", "=")
    }
}

/// What it does with letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    #[default]
    Takes,
    /// 451: not now.
    Busy,
    /// 550: never.
    Refuses,
}

#[derive(Default)]
struct Shared {
    caught: Mutex<Vec<Caught>>,
    mood: Mutex<Mood>,
    certificate: Option<TlsAcceptor>,
}

pub(crate) struct Catcher {
    port: u16,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Drop for Catcher {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Catcher {
    /// One without TLS.
    pub(crate) async fn start() -> Self {
        Self::at(Shared::default()).await
    }

    /// One that asks for STARTTLS and for a name and a password; with its certificate, PEM.
    pub(crate) async fn secure() -> (Self, String) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = config.with_single_cert(vec![cert.der().clone()], key).unwrap();
        let certificate = Some(TlsAcceptor::from(Arc::new(config)));
        let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(cert.der()));
        (Self::at(Shared { certificate, ..Shared::default() }).await, pem)
    }

    async fn at(shared: Shared) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(shared);
        let serving = tokio::spawn(serve(listener, shared.clone()));
        Catcher { port, shared, serving }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn mood(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    pub(crate) fn caught(&self) -> Vec<Caught> {
        self.shared.caught.lock().unwrap().clone()
    }

    /// Waits for so many letters.
    pub(crate) async fn wait(&self, count: usize) -> Vec<Caught> {
        eventually(&format!("{count} letters"), || async { Some(self.caught()).filter(|all| all.len() >= count) }).await
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move { talk(stream, shared).await });
    }
}

async fn talk(mut stream: TcpStream, shared: Arc<Shared>) -> Option<()> {
    stream.write_all(b"220 catcher ESMTP\r\n").await.ok()?;
    let mut plain = BufReader::new(stream);
    let wants_tls = lines(&mut plain, &shared, false).await?;
    if wants_tls {
        let acceptor = shared.certificate.as_ref()?;
        let stream = acceptor.accept(plain.into_inner()).await.ok()?;
        lines(&mut BufReader::new(stream), &shared, true).await?;
    }
    Some(())
}

/// Talks until the end, or until TLS is asked for.
async fn lines<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, shared: &Shared, secure: bool) -> Option<bool> {
    let mut letter = Caught { secure, ..Caught::default() };
    let mut user = None;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return Some(false);
        }
        let line = line.trim_end();
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mood = *shared.mood.lock().unwrap();
        let needs_tls = shared.certificate.is_some() && !secure;
        let answer: String = match verb.to_uppercase().as_str() {
            "EHLO" if needs_tls => "250-catcher\r\n250 STARTTLS\r\n".into(),
            "EHLO" if shared.certificate.is_some() => "250-catcher\r\n250 AUTH PLAIN\r\n".into(),
            "EHLO" | "HELO" => "250 catcher\r\n".into(),
            "STARTTLS" if needs_tls => {
                stream.write_all(b"220 go ahead\r\n").await.ok()?;
                return Some(true);
            }
            _ if needs_tls && verb != "QUIT" => "530 STARTTLS first\r\n".into(),
            "AUTH" => {
                let text = rest.split(' ').nth(1).unwrap_or_default();
                let decoded = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
                let parts: Vec<&str> = decoded.split('\0').collect();
                match parts.as_slice() {
                    [_, name, "correct horse"] => {
                        user = Some((*name).to_owned());
                        "235 welcome\r\n".into()
                    }
                    _ => "535 who are you\r\n".into(),
                }
            }
            "MAIL" if shared.certificate.is_some() && user.is_none() => "530 sign in first\r\n".into(),
            "MAIL" if mood == Mood::Busy => "451 not now\r\n".into(),
            "MAIL" => {
                letter.from = rest.to_owned();
                "250 ok\r\n".into()
            }
            "RCPT" if mood == Mood::Refuses => "550 no such person here\r\n".into(),
            "RCPT" => {
                letter.to.push(rest.trim_start_matches("TO:<").trim_end_matches('>').to_owned());
                "250 ok\r\n".into()
            }
            "DATA" => {
                stream.write_all(b"354 go ahead\r\n").await.ok()?;
                let mut data = String::new();
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).await.ok()?;
                    if line == ".\r\n" {
                        break;
                    }
                    data.push_str(line.strip_prefix('.').unwrap_or(&line));
                }
                let caught = Caught { data, user: user.clone(), ..std::mem::take(&mut letter) };
                shared.caught.lock().unwrap().push(Caught { secure, ..caught });
                "250 taken\r\n".into()
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await.ok()?;
                return Some(false);
            }
            "RSET" | "NOOP" => "250 ok\r\n".into(),
            _ => "500 what?\r\n".into(),
        };
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

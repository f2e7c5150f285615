//! Receivers over TLS and proxies, as far as the tests need them.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der))
}

/// A certificate authority of a test's own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: Vec<u8>,
}

impl Identity {
    pub(crate) fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    pub(crate) fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key)
    }
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        pem("CERTIFICATE", self.0.der())
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    pub(crate) fn issue(&self, name: &str) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().der().clone();
        Identity { certificate, key: key.serialize_der() }
    }
}

/// A connection's number, and the certificate that was shown on it.
pub(crate) type Shown = (usize, Option<CertificateDer<'static>>);

/// A receiver over TLS that answers 200 to all requests. `clients`: whose certificates it wants. Each request's serial
/// connection number and the certificate shown are written down.
pub(crate) struct Secure {
    pub(crate) url: String,
    pub(crate) shown: Arc<Mutex<Vec<Shown>>>,
}

pub(crate) async fn secure(identity: &Identity, clients: Option<&Authority>) -> Secure {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::try_from(identity.key.clone()).unwrap();
    let config = builder.with_single_cert(vec![identity.certificate.clone()], key).unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let shown = Arc::<Mutex<Vec<_>>>::default();
    let seen = shown.clone();
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((stream, _)) = listener.accept().await {
            number += 1;
            let (acceptor, seen) = (acceptor.clone(), seen.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let certificate =
                    stream.get_ref().1.peer_certificates().and_then(|all| all.first()).map(|one| one.clone().into_owned());
                let mut stream = BufReader::new(stream);
                while skip_request(&mut stream).await.is_some() {
                    seen.lock().unwrap().push((number, certificate.clone()));
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                    stream.flush().await.unwrap();
                }
            });
        }
    });
    Secure { url, shown }
}

async fn skip_request<S: tokio::io::AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<()> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok().map(drop)
}

/// A proxy that writes down what it was asked for. With a name and password, it lets nobody else through.
pub(crate) struct Proxy {
    pub(crate) address: String,
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone, Copy)]
pub(crate) enum Speaks {
    Connect,
    Socks,
}

pub(crate) async fn proxy(speaks: Speaks, user: Option<(&'static str, &'static str)>) -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::<Mutex<Vec<_>>>::default();
    let seen = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = seen.clone();
            tokio::spawn(async move {
                match speaks {
                    Speaks::Connect => connect(stream, user, &seen).await,
                    Speaks::Socks => socks(stream, user, &seen).await,
                }
            });
        }
    });
    Proxy { address, asked }
}

async fn connect(stream: TcpStream, user: Option<(&str, &str)>, asked: &Mutex<Vec<String>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let (mut to, mut given) = (String::new(), None);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        if let Some(rest) = line.strip_prefix("CONNECT ") {
            to = rest.split(' ').next()?.to_owned();
        }
        if let Some(value) = line.strip_prefix("proxy-authorization: Basic ") {
            given = String::from_utf8(BASE64_STANDARD.decode(value.trim()).ok()?).ok();
        }
        if line == "\r\n" {
            break;
        }
    }
    asked.lock().unwrap().push(to.clone());
    if user.is_some_and(|(name, password)| given != Some(format!("{name}:{password}"))) {
        return stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").await.ok();
    }
    let Ok(mut far) = TcpStream::connect(&to).await else {
        return stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await.ok();
    };
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok()?;
    copy_bidirectional(&mut stream, &mut far).await.ok().map(drop)
}

async fn socks(mut stream: TcpStream, user: Option<(&str, &str)>, asked: &Mutex<Vec<String>>) -> Option<()> {
    let mut hello = [0; 3];
    stream.read_exact(&mut hello).await.ok()?;
    let method = if user.is_some() { 2 } else { 0 };
    stream.write_all(&[5, if hello[2] == method { method } else { 255 }]).await.ok()?;
    if let Some((name, password)) = user {
        let mut text = Vec::new();
        let _version = stream.read_u8().await.ok()?;
        for _ in 0..2 {
            let mut part = vec![0; stream.read_u8().await.ok()?.into()];
            stream.read_exact(&mut part).await.ok()?;
            text.push(String::from_utf8(part).ok()?);
        }
        let good = text == [name, password];
        stream.write_all(&[1, u8::from(!good)]).await.ok()?;
        if !good {
            return None;
        }
    }
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.ok()?;
    let host = match head[3] {
        1 => {
            let mut ip = [0; 4];
            stream.read_exact(&mut ip).await.ok()?;
            std::net::Ipv4Addr::from(ip).to_string()
        }
        3 => {
            let mut name = vec![0; stream.read_u8().await.ok()?.into()];
            stream.read_exact(&mut name).await.ok()?;
            String::from_utf8(name).ok()?
        }
        _ => return None,
    };
    let to = format!("{host}:{}", stream.read_u16().await.ok()?);
    asked.lock().unwrap().push(to.clone());
    let Ok(mut far) = TcpStream::connect(&to).await else {
        return stream.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok();
    };
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok()?;
    copy_bidirectional(&mut stream, &mut far).await.ok().map(drop)
}

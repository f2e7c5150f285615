//! The listener's certificate: read from files, and read again at SIGHUP and when a file changes. Files that cannot be used
//! leave the certificate in place that was there, and a line in the log.

use crate::cli::{folder::Folder, pinned::fingerprint};
use anyhow::{Context, ensure};
use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::signal::unix::{SignalKind, signal};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// What handshakes are answered with.
#[derive(Debug)]
pub(super) struct Certificates {
    cert: PathBuf,
    key: PathBuf,
    current: ArcSwap<ServerConfig>,
    /// Where the fingerprint is noted.
    folder: Folder,
}

impl Certificates {
    /// Reads the files.
    pub(super) fn read(cert: &Path, key: &Path, folder: &Folder) -> anyhow::Result<Arc<Self>> {
        let (current, leaf) = configuration(cert, key)?;
        folder.note_certificate(Some(&leaf))?;
        Ok(Arc::new(Certificates { cert: cert.to_owned(), key: key.to_owned(), current: current.into(), folder: folder.clone() }))
    }

    /// What the next handshake is answered with.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Reads the files again at each SIGHUP and change.
    pub(super) fn keep_fresh(self: &Arc<Self>) -> anyhow::Result<()> {
        let mut hup = signal(SignalKind::hangup())?;
        let kept = Arc::clone(self);
        tokio::spawn(async move {
            let mut seen = kept.changed();
            loop {
                let told = tokio::select! {
                    _ = hup.recv() => true,
                    () = tokio::time::sleep(LOOK_EVERY) => false,
                };
                let now = kept.changed();
                if told || now != seen {
                    seen = now;
                    kept.reload();
                }
            }
        });
        Ok(())
    }

    fn changed(&self) -> [Option<SystemTime>; 2] {
        [&self.cert, &self.key].map(|path| std::fs::metadata(path).and_then(|data| data.modified()).ok())
    }

    fn reload(&self) {
        match configuration(&self.cert, &self.key) {
            Ok((fresh, leaf)) => {
                self.current.store(fresh);
                if let Err(error) = self.folder.note_certificate(Some(&leaf)) {
                    tracing::error!(error = format!("{error:#}"), "local commands do not know the new certificate");
                }
                tracing::info!(file = %self.cert.display(), "the certificate was read again");
            }
            Err(error) => tracing::error!(error = format!("{error:#}"), "the certificate stays as it was"),
        }
    }
}

/// What handshakes are answered with, and the fingerprint of its certificate.
fn configuration(cert: &Path, key: &Path) -> anyhow::Result<(Arc<ServerConfig>, String)> {
    let text = std::fs::read(cert).with_context(|| format!("cannot read the certificate {}", cert.display()))?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().unwrap_or_default();
    let leaf = chain.first().map(fingerprint).unwrap_or_default();
    ensure!(!chain.is_empty(), "{} holds no PEM certificates", cert.display());
    let text = zeroize::Zeroizing::new(std::fs::read(key).with_context(|| format!("cannot read the key {}", key.display()))?);
    // What is wrong with a key is not told in its own words.
    let key_der = PrivateKeyDer::from_pem_slice(&text).ok().with_context(|| format!("{} holds no PEM key", key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .with_context(|| format!("the key {} does not go with the certificate {}", key.display(), cert.display()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((Arc::new(config), leaf))
}

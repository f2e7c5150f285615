//! A receiver from `examples/`, run as a reader would run it.
//!
//! What such a program takes: `--secret-file` (read at every request, so that a secret can be put there later), `--answer 500,200`
//! (statuses for the first genuine requests; the last repeats), `--cert` and `--key` (serves https with them). What it prints:
//! first `listening on URL`, then for every request a line of JSON: `{"status", "path", "headers", "body", …}`, headers by
//! names in lower case, the body as text, `status` what it answered (200 only to what is genuine).

use crate::support::{ADMIN_KEY, PATIENCE, eventually};
use serde_json::Value;
use std::{
    ffi::OsString,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
};

/// A receiver that runs.
pub(crate) struct Example {
    child: Child,
    base: String,
    heard: Arc<Mutex<Vec<Value>>>,
    secret: tempfile::NamedTempFile,
}

impl Example {
    /// Starts `examples/{name}`, which is Python or JavaScript, over https with the certificate of `folder` when one is
    /// given, with more arguments.
    pub(crate) fn start(name: &str, tls: Option<&Path>, args: &[&str]) -> Self {
        let secret = tempfile::NamedTempFile::new().unwrap();
        let mut all: Vec<OsString> = vec!["--secret-file".into(), secret.path().into(), "--port".into(), "0".into()];
        all.extend(args.iter().map(OsString::from));
        if let Some(folder) = tls {
            all.extend(["--cert".into(), folder.join("cert.pem").into(), "--key".into(), folder.join("key.pem").into()]);
        }
        Self::spawn(name, &all, secret)
    }

    /// Starts `examples/{name}`, which is no receiver, with these arguments and the admin key in its environment.
    pub(crate) fn program(name: &str, args: &[&str]) -> Self {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        Self::spawn(name, &args, tempfile::NamedTempFile::new().unwrap())
    }

    fn spawn(name: &str, args: &[OsString], secret: tempfile::NamedTempFile) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        let mut command = Command::new(if name.ends_with(".py") { "python3" } else { "node" });
        command.arg(&path).args(args).env("PYTHONUNBUFFERED", "1").env("POSTRIDER_KEY", ADMIN_KEY);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let heard = Arc::<Mutex<Vec<Value>>>::default();
        let (found, base) = mpsc::channel();
        let kept = heard.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                match line.strip_prefix("listening on ") {
                    Some(url) => drop(found.send(url.trim().to_owned())),
                    None => kept.lock().unwrap().push(serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))),
                }
            }
        });
        let base = base.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{name} does not listen: {:?}", child.try_wait()));
        Example { child, base, heard, secret }
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Gives it the secret to verify with from now on.
    pub(crate) fn trust(&self, secret: &str) {
        std::fs::write(self.secret_file(), secret).unwrap();
    }

    /// Where the secret is.
    pub(crate) fn secret_file(&self) -> PathBuf {
        self.secret.path().to_owned()
    }

    /// What has come so far.
    pub(crate) fn heard(&self) -> Vec<Value> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits until so many requests have come; those, and any beyond.
    pub(crate) async fn wait(&self, count: usize) -> Vec<Value> {
        eventually(&format!("{count} requests at the example"), || async {
            Some(self.heard()).filter(|heard| heard.len() >= count)
        })
        .await
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

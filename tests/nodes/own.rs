//! A PostgreSQL of a test's own, to be taken away, followed, promoted and secured.

use std::{path::PathBuf, process::Command};

/// A server; ended when dropped.
pub struct Own(tempfile::TempDir);

impl Own {
    /// Starts one; its URL without a database.
    pub fn start() -> (Self, String) {
        let own = Own(open_folder());
        let url = own.run(&["start"]);
        (own, url)
    }

    /// Starts a standby of another one; its URL.
    pub fn follow(url: &str) -> (Self, String) {
        let own = Own(open_folder());
        let url = own.run(&["follow", url]);
        (own, url)
    }

    /// Runs a command of the script; what it prints.
    pub fn run(&self, words: &[&str]) -> String {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/postgres"));
        let done = command.args(words).env("POSTRIDER_TEST_POSTGRES_HOME", self.0.path().join("server")).output().unwrap();
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// A file that a command of the script may read.
    pub fn keep(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.run(&["stop"]);
    }
}

/// A folder that other users may look into.
pub fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let opened = Command::new("chmod").arg("755").arg(folder.path()).status().unwrap();
    assert!(opened.success());
    folder
}

//! The server under test: this same binary as a child process.

use super::{api::Target, database::Database, process::Usage};
use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    ffi::OsStr,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    time::Instant,
};

/// Longest wait for a server to be healthy.
const START: Duration = Duration::from_secs(120);
/// Longest wait for a server to end after SIGTERM.
const END: Duration = Duration::from_secs(60);
/// Pause between two questions whether it is healthy.
const ASK: Duration = Duration::from_millis(5);
/// The file of a data folder that all nodes of a database have in common.
const MASTER_KEY: &str = "master.key";
/// How much of its log is shown when it fails, in lines.
const LOG_LINES: usize = 10;

/// How to start a server.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    /// The binary.
    pub(super) program: PathBuf,
    /// Its data folder, absolute.
    pub(super) data: PathBuf,
    /// Its admin key.
    pub(super) key: String,
    /// Its database, if it keeps its data in one.
    pub(super) database: Option<Database>,
}

impl Recipe {
    /// Of another node on the same database, with the same master key.
    pub(super) fn beside(&self, name: &str) -> anyhow::Result<Self> {
        let data = self.data.with_extension(name);
        std::fs::create_dir(&data)?;
        std::fs::copy(self.data.join(MASTER_KEY), data.join(MASTER_KEY))?;
        Ok(Recipe { data, ..self.clone() })
    }

    /// Removes what the server kept.
    pub(super) async fn remove(self) -> anyhow::Result<()> {
        std::fs::remove_dir_all(self.data)?;
        match self.database {
            Some(database) => database.remove().await,
            None => Ok(()),
        }
    }
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    pid: u32,
    target: Target,
    born: Instant,
    log: PathBuf,
}

impl Server {
    /// Starts one on a free port and waits until it is healthy.
    ///
    /// # Errors
    /// It ended, or was not healthy in time; the end of its log is in the message.
    pub(super) async fn start(recipe: &Recipe) -> anyhow::Result<Self> {
        let address = free_port()?;
        let log = recipe.data.with_extension("log");
        let file = std::fs::File::options().create(true).append(true).open(&log)?;
        let born = Instant::now();
        let mut command = Command::new(&recipe.program);
        // Defaults are measured, whatever is configured here.
        for (name, _) in std::env::vars_os().filter(|(name, _)| configures(name)) {
            command.env_remove(name);
        }
        let child = command
            .current_dir(recipe.data.parent().context("the data folder has no parent")?)
            .args(["serve", "--allow-cidr", "127.0.0.0/8", "--listen", &address.to_string(), "--data"])
            .arg(&recipe.data)
            .env("POSTRIDER_ADMIN_KEY", &recipe.key)
            .envs(recipe.database.iter().map(|database| ("POSTRIDER_STORE", &database.url)))
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", recipe.program.display()))?;
        let pid = child.id().context("the server has ended at once")?;
        let target = Target { address, token: recipe.key.clone() };
        let mut server = Server { child, pid, target, born, log };
        server.wait_healthy().await?;
        Ok(server)
    }

    async fn wait_healthy(&mut self) -> anyhow::Result<()> {
        loop {
            if self.target.healthy().await {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server has ended, {status}\n{}", last_lines(&self.log));
            }
            if self.born.elapsed() > START {
                bail!("the server is not healthy after {START:?}\n{}", last_lines(&self.log));
            }
            tokio::time::sleep(ASK).await;
        }
    }

    /// Where it listens, and its key.
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// When its process was started.
    pub(super) fn born(&self) -> Instant {
        self.born
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// What it has used.
    pub(super) fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.pid)
    }

    /// Asks it to end and waits for that.
    ///
    /// # Errors
    /// It did not end in time (it is killed then), or with an error.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).context("not a process id")?;
        kill_process(pid, Signal::TERM)?;
        let Ok(status) = tokio::time::timeout(END, self.child.wait()).await else {
            self.child.kill().await?;
            bail!("the server did not end within {END:?} of SIGTERM\n{}", last_lines(&self.log));
        };
        let status = status?;
        if !status.success() {
            bail!("the server ended with {status}\n{}", last_lines(&self.log));
        }
        Ok(())
    }

    /// Kills it, as a crash would.
    pub(super) async fn kill(mut self) -> std::io::Result<()> {
        self.child.kill().await
    }
}

/// Whether an environment variable changes what a server does.
fn configures(name: &OsStr) -> bool {
    name == "RUST_LOG" || name.as_encoded_bytes().starts_with(b"POSTRIDER_")
}

/// A loopback address with a port that nobody uses now.
fn free_port() -> std::io::Result<SocketAddr> {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let skipped = text.lines().count().saturating_sub(LOG_LINES);
    text.lines().skip(skipped).collect::<Vec<_>>().join("\n")
}

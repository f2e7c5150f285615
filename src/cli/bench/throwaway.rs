//! A PostgreSQL server for one run: durable as servers are, in the run's own folder, ended with it.

use anyhow::{Context, bail, ensure};
use std::{
    ffi::OsStr,
    io::Write,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Where Debian and its children keep a version's programs: one folder a version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Who runs the server when the bench is run by root, which PostgreSQL refuses; the first there is.
const USERS: [&str; 2] = ["postgres", "nobody"];
/// Settings of the server. The rest are defaults: what is accepted is flushed.
const SETTINGS: &str = "listen_addresses = '127.0.0.1'\n\
    unix_socket_directories = ''\n\
    max_connections = 200\n\
    shared_buffers = 512MB\n\
    max_wal_size = 4GB\n";
/// Tells statements apart, where it is installed.
const STATISTICS: &str = "pg_stat_statements";

/// A server; stopped when dropped.
#[derive(Debug)]
pub(super) struct Throwaway {
    programs: PathBuf,
    data: PathBuf,
    /// Who runs it, as user and group, if not who runs the bench.
    user: Option<[u32; 2]>,
    url: String,
}

impl Throwaway {
    /// Starts one on that port, with its data in a new folder inside `folder`.
    ///
    /// # Errors
    /// PostgreSQL's programs are not here, or it does not start.
    pub(super) fn start(folder: &Path, port: u16) -> anyhow::Result<Self> {
        let programs = programs().context(
            "PostgreSQL's programs are not here (Debian: apt-get install postgresql); a running server: --store postgres://…",
        )?;
        let user =
            if rustix::process::geteuid().is_root() { Some(somebody().context("there is no user to run it")?) } else { None };
        let home = folder.join("postgres");
        std::fs::create_dir(&home)?;
        if let Some([user, group]) = user {
            chown(&home, Some(user), Some(group))?;
        }
        let server =
            Throwaway { programs, data: home.join("data"), user, url: format!("postgres://postrider@127.0.0.1:{port}/postgres") };
        let words = ["-U", "postrider", "-A", "trust", "-E", "UTF8", "--locale=C", "-D"];
        run(server.command("initdb").args(words).arg(&server.data))?;
        let mut settings = std::fs::File::options().append(true).open(server.data.join("postgresql.conf"))?;
        writeln!(settings, "{SETTINGS}port = {port}")?;
        if server.has(STATISTICS) {
            writeln!(settings, "shared_preload_libraries = '{STATISTICS}'")?;
        }
        drop(settings);
        run(server.control(["-w", "-t", "60", "-l"]).arg(home.join("log")).arg("start"))?;
        Ok(server)
    }

    /// Where it is, with the database that every server has.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    fn has(&self, library: &str) -> bool {
        let told = self.command("pg_config").arg("--pkglibdir").output();
        let folder = told.ok().and_then(|told| String::from_utf8(told.stdout).ok()).unwrap_or_default();
        Path::new(folder.trim()).join(format!("{library}.so")).exists()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir("/");
        if let Some([user, group]) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    fn control<const N: usize>(&self, words: [&str; N]) -> Command {
        let mut command = self.command("pg_ctl");
        command.arg("-D").arg(&self.data).args(words);
        command
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        if let Err(error) = run(self.control(["-m", "immediate", "-w", "stop"]).stdin(Stdio::null())) {
            let _ = writeln!(std::io::stderr().lock(), "{error:#}");
        }
    }
}

/// The folder with the newest version's programs.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(VERSIONS).into_iter().flatten().flatten().map(|entry| entry.path());
    let number = |path: &PathBuf| path.file_name().and_then(OsStr::to_str).and_then(|name| name.parse::<u32>().ok());
    let mut installed: Vec<_> = versions.filter_map(|path| Some((number(&path)?, path.join("bin")))).collect();
    installed.sort();
    let searched = std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let known = installed.into_iter().rev().map(|(_, path)| path);
    known.chain(searched).find(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists())
}

/// User and group.
fn somebody() -> Option<[u32; 2]> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    USERS.into_iter().find_map(|user| {
        let line = users.lines().find(|line| line.split(':').next() == Some(user))?;
        let mut ids = line.split(':').skip(2).map(str::parse);
        Some([ids.next()?.ok()?, ids.next()?.ok()?])
    })
}

/// Runs it to its end; what it says is in the error.
fn run(command: &mut Command) -> anyhow::Result<()> {
    // A server that is started keeps what it inherits: no pipe, which would be waited for.
    let silent = command.get_args().any(|word| word == "start");
    let program = command.get_program().to_owned();
    let failed = || format!("cannot run {}", program.display());
    if silent {
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().with_context(failed)?;
        ensure!(status.success(), "PostgreSQL does not start: {status}");
        return Ok(());
    }
    let done = command.output().with_context(failed)?;
    if !done.status.success() {
        bail!("{}: {}", program.display(), String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(())
}

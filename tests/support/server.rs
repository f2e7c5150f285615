//! The real binary on a folder of its own.

use super::{Api, PATIENCE, database, eventually};
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
    time::Duration,
};
use tempfile::TempDir;

/// The key that every test server gets.
pub const ADMIN_KEY: &str = "pr_testadminkey0123456789abcdefghijkl";
/// With which test servers check JWTs.
pub const JWT_SECRET: &str = "a secret for tests, and for nothing else";
/// Set in [`Options::env`]: the server may have no more descriptors than this.
pub const DESCRIPTORS: &str = "TEST_DESCRIPTORS";
/// Names a folder in which everything that servers print is kept, for `./test` to look for secrets in.
const LOGS: &str = "POSTRIDER_TEST_LOGS";
/// How long a server that is dropped may take to end before it is killed.
const FAREWELL: Duration = Duration::from_secs(5);

/// How to start.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// More arguments of `serve`.
    pub args: Vec<String>,
    /// More environment.
    pub env: Vec<(String, String)>,
}

/// A server that runs.
pub struct Server {
    data: TempDir,
    options: Options,
    child: Child,
    address: String,
    log: Log,
}

/// Every line that a server has printed, over all its starts.
type Log = Arc<Mutex<Vec<String>>>;

impl Server {
    /// Starts on a fresh folder.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// Starts on a fresh folder, with options.
    pub async fn start_with(mut options: Options) -> Self {
        if database::wanted() {
            options.env.push(("POSTRIDER_STORE".into(), database::fresh().await));
        }
        Self::start_as(options).await
    }

    /// Starts on a fresh database, whatever store the tests are run on. `lease_ms`: how long its leases outlive it.
    pub async fn start_on_postgres(args: &[&str], lease_ms: u32) -> Self {
        let store = database::fresh().await.replace(&format!("={}", database::LEASE_MS), &format!("={lease_ms}"));
        let args = args.iter().map(ToString::to_string).collect();
        Self::start_as(Options { args, env: vec![("POSTRIDER_STORE".into(), store)] }).await
    }

    /// Starts exactly as the options say.
    pub async fn start_as(options: Options) -> Self {
        let data = tempfile::tempdir().unwrap();
        let log = Log::default();
        let (child, address) = spawn(data.path(), &options, &log);
        let server = Server { data, options, child, address, log };
        server.healthy().await;
        server
    }

    /// Starts on a folder that is there, its data in `data` within it.
    pub async fn start_in(data: TempDir, options: Options) -> Self {
        let log = Log::default();
        let (child, address) = spawn(data.path(), &options, &log);
        let server = Server { data, options, child, address, log };
        server.healthy().await;
        server
    }

    /// Starts on a folder that may be damaged. `Err`: it does not start, and everything that it said.
    pub async fn try_start_in(data: TempDir) -> Result<Self, Vec<String>> {
        let (log, options) = (Log::default(), Options::default());
        let (mut child, address, reading) = start(data.path(), &options, &log);
        match address.recv_timeout(PATIENCE) {
            Ok(address) => {
                let server = Server { data, options, child, address, log };
                server.healthy().await;
                Ok(server)
            }
            Err(_) => {
                assert!(!child.wait().unwrap().success());
                reading.into_iter().for_each(|thread| thread.join().unwrap());
                Err(log.lock().unwrap().clone())
            }
        }
    }

    /// With what its next start finds in the environment.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.options.env.push((name.to_owned(), value.to_owned()));
    }

    /// Starts one that speaks TLS as the arguments say; its address is all that is known to work.
    pub async fn start_tls(args: Vec<String>) -> Self {
        let mut env = Vec::new();
        if database::wanted() {
            env.push(("POSTRIDER_STORE".into(), database::fresh().await));
        }
        let (data, options) = (tempfile::tempdir().unwrap(), Options { args, env });
        let log = Log::default();
        let (child, address) = spawn(data.path(), &options, &log);
        Server { data, options, child, address, log }
    }

    /// Another server on the same database, with the same master key.
    pub async fn beside(&self) -> Self {
        self.beside_as(self.options.clone()).await
    }

    /// Another server with the same master key, which reaches the same database by another URL.
    pub async fn beside_at(&self, store: String) -> Self {
        let mut options = self.options.clone();
        options.env.retain(|(name, _)| name != "POSTRIDER_STORE");
        options.env.push(("POSTRIDER_STORE".into(), store));
        self.beside_as(options).await
    }

    async fn beside_as(&self, options: Options) -> Self {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("data");
        std::fs::create_dir(&folder).unwrap();
        std::fs::copy(self.data().join("data/master.key"), folder.join("master.key")).unwrap();
        let log = Log::default();
        let (child, address) = spawn(data.path(), &options, &log);
        let server = Server { data, options, child, address, log };
        server.healthy().await;
        server
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The address as a URL, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The link with which the first user signs in to the dashboard.
    pub async fn link(&self) -> String {
        let text = eventually("a link is printed", || async {
            let log = self.log.lock().unwrap();
            let (_, rest) = log.iter().find_map(|line| line.split_once("/dashboard/enter?link="))?;
            rest.split(' ').next().map(str::to_owned)
        })
        .await;
        format!("{}/dashboard/enter?link={text}", self.url())
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it keeps everything.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// The database on which it runs, if it does.
    pub fn database(&self) -> Option<&str> {
        self.options.env.iter().find(|(name, _)| name == "POSTRIDER_STORE").map(|(_, url)| url.as_str())
    }

    /// Every line that it has printed.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The API with the admin key.
    pub fn api(&self) -> Api {
        Api::new(&self.address, Some(ADMIN_KEY))
    }

    /// SIGKILL, and gone when this returns.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts again on the same folder.
    pub async fn restart(&mut self) {
        (self.child, self.address) = spawn(self.data.path(), &self.options, &self.log);
        self.healthy().await;
    }

    /// SIGTERM; the exit code. Panics when it does not end in time, or ends by a signal.
    pub async fn stop(&mut self) -> i32 {
        self.terminate();
        let status = eventually("the server ends after SIGTERM", || {
            let ended = self.child.try_wait().unwrap();
            async move { ended }
        })
        .await;
        status.code().unwrap_or_else(|| panic!("ended by a signal: {status}"))
    }

    /// Sends SIGTERM and does not wait.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status().unwrap();
        assert!(sent.success());
    }

    async fn healthy(&self) {
        let api = Api::new(&self.address, None);
        eventually("the server is healthy", || async {
            let answer = api.try_send("GET", "/api/v1/health", &[], bytes::Bytes::new()).await;
            answer.ok().filter(|a| a.status == 204)
        })
        .await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        keep_secrets(&self.data.path().join("data"));
        if matches!(self.child.try_wait(), Ok(None)) {
            self.terminate();
            wait(FAREWELL, &mut self.child);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the end, at most so long.
fn wait(at_most: Duration, child: &mut Child) {
    const LOOK: Duration = Duration::from_millis(5);
    let looks = at_most.as_millis() / LOOK.as_millis();
    for _ in 0..looks {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(LOOK);
    }
}

/// Runs another command of the binary to its end.
pub fn run(args: &[&str]) -> Output {
    binary().args(args).output().unwrap()
}

/// Runs another command of the binary to its end, with this text as its standard input.
pub fn run_with_input(args: &[&str], input: &str) -> Output {
    let mut child = binary().args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// The binary, with nothing of this environment's configuration.
fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postrider"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("POSTRIDER_")) {
        command.env_remove(name);
    }
    command.env("POSTRIDER_ADMIN_KEY", ADMIN_KEY).env("POSTRIDER_JWT_SECRET", JWT_SECRET);
    command
}

/// Starts the binary; returns once it has printed its address.
fn spawn(data: &Path, options: &Options, log: &Log) -> (Child, String) {
    let (mut child, address, _reading) = start(data, options, log);
    let address =
        address.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("the server printed no address: {:?}", child.try_wait()));
    (child, address)
}

/// Starts the binary on a folder where it cannot start: everything that it says.
pub fn refused_start(data: &Path) -> Vec<String> {
    let log = Log::default();
    let (mut child, address, reading) = start(data, &Options::default(), &log);
    let started = address.recv_timeout(PATIENCE);
    assert!(started.is_err(), "the server has started: {started:?}");
    let status = child.wait().unwrap();
    reading.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(!status.success());
    log.lock().unwrap().clone()
}

/// A process, its address once it has printed it, and the threads that read what it prints.
type Started = (Child, mpsc::Receiver<String>, [JoinHandle<()>; 2]);

fn start(data: &Path, options: &Options, log: &Log) -> Started {
    let mut command = binary();
    if let Some((_, descriptors)) = options.env.iter().find(|(name, _)| name == DESCRIPTORS) {
        let mut poor = Command::new("sh");
        poor.args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"")]).arg(command.get_program());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => poor.env(name, value),
                None => poor.env_remove(name),
            };
        }
        command = poor;
    }
    command.arg("serve").arg("--data").arg(data.join("data")).args(["--listen", "127.0.0.1:0", "--allow-cidr", "127.0.0.0/8"]);
    if std::env::var_os(LOGS).is_some() {
        command.env("POSTRIDER_LOG", "debug");
    }
    command.args(&options.args).envs(options.env.iter().cloned());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let kept = kept_log();
    let (found, address) = mpsc::channel();
    // They read on to the end, so that the server never blocks on a full pipe. Both: an error may come without an address.
    let keep = |lines: Box<dyn BufRead + Send>, found: Option<mpsc::Sender<String>>| {
        let (log, kept) = (log.clone(), kept.as_ref().map(|file| file.try_clone().unwrap()));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                if let (Some(found), Some(address)) = (&found, address_in(&line)) {
                    let _ = found.send(address);
                }
                println!("server: {line}");
                if let Some(mut kept) = kept.as_ref() {
                    writeln!(kept, "{line}").unwrap();
                }
                log.lock().unwrap().push(line);
            }
        })
    };
    let (errors, said) = (child.stderr.take().unwrap(), child.stdout.take().unwrap());
    let reading = [keep(Box::new(BufReader::new(errors)), None), keep(Box::new(BufReader::new(said)), Some(found))];
    (child, address, reading)
}

/// A new file for what a server prints, if that is kept.
pub fn kept_log() -> Option<File> {
    let folder = std::env::var_os(LOGS)?;
    let (_, path) = tempfile::Builder::new().suffix(".log").tempfile_in(folder).unwrap().keep().unwrap();
    Some(File::options().append(true).open(path).unwrap())
}

/// Writes down the secrets of a data folder, which must not be in anything that was printed.
fn keep_secrets(data: &Path) {
    let Some(folder) = std::env::var_os(LOGS) else { return };
    let mut file = File::options().create(true).append(true).open(Path::new(&folder).join("secrets")).unwrap();
    for name in ["master.key", "admin.key"] {
        // One write each: many processes append.
        let text = std::fs::read_to_string(data.join(name)).unwrap_or_default();
        let lines: String = text.lines().map(str::trim).filter(|line| line.len() >= 16).map(|line| format!("{line}\n")).collect();
        file.write_all(lines.as_bytes()).unwrap();
    }
}

/// The `host:port` of a line that has a loopback URL.
fn address_in(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("://127.0.0.1:")?;
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (port.parse::<u16>().ok()? != 0).then(|| format!("127.0.0.1:{port}"))
}

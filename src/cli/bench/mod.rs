//! `postrider bench`: measures the figures of the design in one run, on loopback, with a bounded number of messages.
//!
//! The client and the receiver each have one thread with a runtime of its own, in this process and on one clock; the
//! server is another process. The raw figure is the same client driving straight into the same receiver.

mod api;
mod args;
mod board;
mod cases;
mod client;
mod database;
mod figure;
mod folder;
mod host;
mod letter;
mod load;
mod machine;
mod outcome;
mod process;
mod receiver;
mod report;
mod sample;
mod seal;
mod server;
mod stock;
#[cfg(test)]
mod tests;
mod throwaway;

pub use args::{BenchArgs, Case};

use crate::random::Random;
use anyhow::Context;
use api::Target;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use board::Board;
use database::Databases;
use figure::Figure;
use folder::Folder;
use host::Host;
use machine::Machine;
use receiver::Receiver;
use report::Report;
use server::Recipe;
use std::{io::Write, path::PathBuf, sync::Arc};
use tokio::sync::oneshot;

/// What all cases share.
#[derive(Debug)]
struct Bench {
    args: BenchArgs,
    given: Option<Target>,
    board: Arc<Board>,
    receiver: Receiver,
    /// Where servers keep their data if not in the folder. Ends before the folder goes.
    databases: Option<Databases>,
    folder: Folder,
    program: PathBuf,
    random: Random,
}

/// Measures and prints.
///
/// # Errors
/// A flag is out of bounds, or a figure could not be measured (the report is printed all the same). A figure below its
/// floor is no error.
pub async fn run(args: BenchArgs) -> anyhow::Result<()> {
    let json = args.json;
    let bench = Bench::new(args)?;
    let (done, report) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("bench-client".into()).spawn(move || {
        let report = runtime.block_on(async {
            tokio::select! {
                report = bench.measure() => report,
                _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
                () = terminated() => Err(anyhow::anyhow!("terminated")),
            }
        });
        // Before the answer, which may end the process: the folder is to be removed.
        drop(bench);
        let _ = done.send(report);
    })?;
    let report = report.await.context("the client's thread has ended")??;
    let text = if json { serde_json::to_string_pretty(&report)? } else { report.to_string() };
    writeln!(std::io::stdout().lock(), "{text}")?;
    anyhow::ensure!(report.failures() == 0, "{} figures could not be measured or have faults", report.failures());
    Ok(())
}

/// Waits for SIGTERM, so that what was started is ended also then.
async fn terminated() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    }
}

impl Bench {
    fn new(args: BenchArgs) -> anyhow::Result<Self> {
        args.check()?;
        let address = args.target_address()?;
        let token = args.token.clone().unwrap_or_default();
        let random = Random::from_system()?;
        let board = Arc::new(Board::new());
        let folder = Folder::new(&args.data.clone().unwrap_or_else(std::env::temp_dir), random.bytes())?;
        Ok(Bench {
            given: address.map(|address| Target { address, token }),
            receiver: Receiver::start(args.receive_listen, Arc::clone(&board))?,
            databases: args.store.as_ref().map(|store| Databases::at(store, folder.path())).transpose()?,
            folder,
            program: std::env::current_exe().context("cannot find this binary")?,
            board,
            random,
            args,
        })
    }

    async fn measure(&self) -> anyhow::Result<Report> {
        let machine = Machine::here(self.folder.path())?;
        let mut figures: Vec<Figure> = Vec::new();
        for case in cases::plan(&self.args.chosen()) {
            // A reader that has gone is no reason to stop measuring.
            let _ = writeln!(std::io::stderr().lock(), "measuring: {}", case.name);
            match case.kind.measure(self, case.name).await {
                Ok(measured) => figures.extend(measured),
                Err(error) => figures.push(Figure::unmeasured(case.name, format!("{error:#}"))),
            }
        }
        let command = std::env::args().skip(1).collect::<Vec<_>>();
        Ok(Report::new(hide_token(command), machine, figures))
    }

    /// The server for a case: the given one, or a fresh one.
    async fn host(&self, name: &str) -> anyhow::Result<Host> {
        match &self.given {
            Some(target) => Ok(Host::Given(target.clone(), self.args.pid)),
            None => Host::own(self.recipe(name).await?).await,
        }
    }

    async fn recipe(&self, name: &str) -> anyhow::Result<Recipe> {
        let key = format!("pr_{}", BASE64_URL_SAFE_NO_PAD.encode(self.random.bytes::<32>()));
        let database = match &self.databases {
            Some(databases) => Some(databases.fresh(self.random.bytes()).await?),
            None => None,
        };
        Ok(Recipe { program: self.program.clone(), data: self.folder.path().join(name.replace(' ', "-")), key, database })
    }
}

/// The command line without the token and passwords of URLs, which are nobody else's business.
fn hide_token(mut words: Vec<String>) -> String {
    let mut secret = false;
    for word in &mut words {
        if secret {
            "…".clone_into(word);
        } else if word.starts_with("--token=") {
            "--token=…".clone_into(word);
        } else if let Some((before, _)) = word.split_once("://").filter(|_| word.contains('@')) {
            *word = format!("{before}://…");
        }
        secret = word == "--token";
    }
    words.join(" ")
}

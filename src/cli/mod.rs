//! The commands, one file each. The only place, beside `main`, where errors are prose.

pub mod bench;
mod client;
mod config;
mod copy;
mod demo;
mod diff;
mod folder;
mod keys;
mod migrate;
mod outbox;
mod pinned;
mod profiles;
mod send;
mod serve;
mod settings;
mod signature;
mod systems;
mod users;

use clap::{Parser, Subcommand};
use std::{io::Write, process::ExitCode};

/// Sends, receives and operates webhooks.
#[derive(Debug, Parser)]
#[command(name = "postrider", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::ServeArgs),
    /// Post a message and print its id
    Send(send::SendArgs),
    /// Compare the ids that a receiver has with its endpoint's ledger; fails when one is missing
    Diff(diff::DiffArgs),
    /// Make, list and revoke API keys and sessions
    Keys(keys::KeysArgs),
    /// Make and list users of the dashboard, and print links that sign them in
    Users(users::UsersArgs),
    /// List, show, make, copy and preview profiles: how deliveries look and behave
    Profiles(profiles::ProfilesArgs),
    /// Judge a signed request, or every case of a file, and name the likely mistake
    Verify(signature::VerifyArgs),
    /// Sign a request as a provider does
    Sign(signature::SignArgs),
    /// List the documented systems, and write their event types into the catalogue
    Systems(systems::SystemsArgs),
    /// Bring a database's tables to this version
    Migrate(migrate::MigrateArgs),
    /// Carry everything from one store into another: from a folder into a database, or back
    Copy(copy::CopyArgs),
    /// Publish by INSERT: make the table in an application's database, see how it does, put refused rows back
    Outbox(outbox::OutboxArgs),
    /// Print what is configured, and where each value came from
    Config(config::ConfigArgs),
    /// Measure this machine: throughput as shares of what the network path alone allows, latency, memory and start
    Bench(bench::BenchArgs),
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(args) => serve::run(args),
        Command::Send(args) => send::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Keys(args) => keys::run(args),
        Command::Users(args) => users::run(args),
        Command::Profiles(args) => profiles::run(args),
        Command::Verify(args) => signature::verify(&args),
        Command::Sign(args) => signature::sign(&args),
        Command::Systems(args) => systems::run(&args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Copy(args) => copy::run(&args),
        Command::Outbox(args) => outbox::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Bench(args) => block_on(bench::run(args)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to standard output. A reader that has gone is no reason to stop.
fn say(line: &str) {
    let _reader_gone = writeln!(std::io::stdout().lock(), "{line}");
}

/// Writes a line to standard error.
fn complain(line: &str) {
    let _reader_gone = writeln!(std::io::stderr().lock(), "{line}");
}

/// Runs a short command's future on a runtime of one thread.
fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_are_read() {
        let read = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(matches!(
            read("postrider serve --demo --allow-cidr 10.0.0.0/8 --allow-cidr ::1/128"),
            Ok(Cli { command: Command::Serve(_) })
        ));
        assert!(matches!(
            read("postrider send --app demo --type invoice.paid --data - --tag a --tag b"),
            Ok(Cli { command: Command::Send(_) })
        ));
        assert!(matches!(
            read("postrider keys create --session --expires-in 24h --data d --url http://x"),
            Ok(Cli { command: Command::Keys(_) })
        ));
        assert!(matches!(read("postrider users add ann@example.com --role operator"), Ok(Cli { command: Command::Users(_) })));
        for bad in
            ["postrider", "postrider serv", "postrider serve --admin-key x", "postrider send --type x", "postrider keys revoke"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}

//! The flags of `postrider bench`, with their bounds.

use super::database::THROWAWAY;
use crate::store::postgres::PostgresOptions;
use anyhow::{Context, ensure};
use std::{net::IpAddr, path::PathBuf, time::Duration};

/// Longest measuring window, in seconds.
const SECONDS_MAX: u64 = 120;
/// Longest run at half of the capacity, in seconds.
const SOAK_SECONDS_MAX: u64 = 86_400;
/// Most connections of the client.
const CONNECTIONS_MAX: usize = 1024;
/// Payload sizes in bytes: the least that holds a sequence number, and the default limit of the API.
const PAYLOAD_BYTES: std::ops::RangeInclusive<usize> = 64..=1_000_000;

/// Messages that are stored while pages are measured.
const PAGE_MESSAGES: std::ops::RangeInclusive<u32> = 1_000..=100_000_000;

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Case {
    /// The client straight into the receiver; measured before and after the others whenever they need it.
    Raw,
    /// One endpoint, closed loop.
    One,
    /// Ten endpoints, closed loop.
    Ten,
    /// Signed requests of a third party to a source with one endpoint, closed loop.
    Receive,
    /// Accept to delivered, open loop.
    Latency,
    /// A healthy application beside one whose endpoint hangs.
    Neighbour,
    /// A hundred endpoints, of which half hang.
    Crowd,
    /// Idle memory with many endpoints.
    Memory,
    /// PostgreSQL only: one endpoint with one, two and three nodes.
    Nodes,
    /// PostgreSQL only, when asked for: many messages with retention on, and how the tables are at each tenth of them.
    Soak,
    /// When asked for: half of what the server can do, for long, and its memory and descriptors each minute.
    Steady,
    /// When asked for: all pages of the dashboard and the portal, with a million messages stored.
    Pages,
    /// Start after a kill with many pending deliveries.
    Start,
    /// Size of this binary.
    Size,
}

/// All cases, in the order in which they run.
pub(super) const ALL: [Case; 14] = [
    Case::Raw,
    Case::One,
    Case::Nodes,
    Case::Ten,
    Case::Receive,
    Case::Latency,
    Case::Neighbour,
    Case::Crowd,
    Case::Memory,
    Case::Start,
    Case::Size,
    Case::Soak,
    Case::Steady,
    Case::Pages,
];

/// Measure this machine: throughput as shares of what the network path alone allows, latency, memory and start.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchArgs {
    /// Server to measure, as http://127.0.0.1:PORT; without it, a fresh one is started for each case
    #[arg(long, value_name = "URL", requires = "token")]
    pub target: Option<String>,
    /// PostgreSQL for the servers: a URL whose role may make databases, or `postgres` for a throw-away server
    #[arg(long, value_name = "URL", conflicts_with = "target")]
    pub store: Option<String>,
    /// Only pass so many messages through, with retention on, and show how the tables are along the way
    #[arg(long, value_name = "N", requires = "store", conflicts_with_all = ["cases", "receive"])]
    pub soak_messages: Option<u32>,
    /// Only run at half of the capacity for so many seconds, and show memory, descriptors and errors each minute
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["cases", "receive", "soak_messages", "target"])]
    pub soak_seconds: Option<u64>,
    /// Messages that are stored for the pages case; below 1000000 it is not judged [default: 1000000]
    #[arg(long, value_name = "N", conflicts_with = "target")]
    pub page_messages: Option<u32>,
    /// Run the cases about endpoints that hang only, as with --cases neighbour,crowd
    #[arg(long, conflicts_with_all = ["cases", "receive", "soak_messages", "soak_seconds"])]
    pub neighbour: bool,
    /// Token for the target
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Process id of the target, to read its CPU time and memory
    #[arg(long, value_name = "PID", requires = "target")]
    pub pid: Option<u32>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// Cases to run, separated by commas [default: all; with --target, those that need no server of our own]
    #[arg(long, value_enum, value_delimiter = ',')]
    pub cases: Vec<Case>,
    /// Run the case of receiving only, as with --cases receive
    #[arg(long, conflicts_with = "cases")]
    pub receive: bool,
    /// Length of each measuring window, in seconds
    #[arg(long, default_value_t = 8)]
    pub seconds: u64,
    /// Connections of the client, each with one request at a time
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Payload size, in bytes
    #[arg(long, default_value_t = 1024)]
    pub payload: usize,
    /// Folder under which the servers keep their data (a new folder inside it, removed at the end) [default: the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Loopback address on which the receiver listens
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub receive_listen: IpAddr,
    /// Messages a second for the latency case; the neighbour case uses half of it
    #[arg(long, default_value_t = 1000)]
    pub rate: u64,
    /// Shrinks the counts of the memory and start cases; below 1 they are not judged
    #[arg(long, default_value_t = 1.0)]
    pub scale: f64,
    /// Longest time to fill a server for the memory and start cases, in seconds
    #[arg(long, default_value_t = 300)]
    pub fill_seconds: u64,
}

impl Case {
    /// Whether it restarts the server or looks at its binary.
    fn needs_own_server(self) -> bool {
        matches!(self, Case::Memory | Case::Start | Case::Size | Case::Steady | Case::Pages)
    }

    /// Whether it is about PostgreSQL.
    fn needs_database(self) -> bool {
        matches!(self, Case::Nodes | Case::Soak)
    }
}

impl BenchArgs {
    /// Refuses what is out of bounds.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!((1..=SECONDS_MAX).contains(&self.seconds), "--seconds must be from 1 to {SECONDS_MAX}");
        ensure!((1..=CONNECTIONS_MAX).contains(&self.connections), "--connections must be from 1 to {CONNECTIONS_MAX}");
        ensure!(PAYLOAD_BYTES.contains(&self.payload), "--payload must be within {PAYLOAD_BYTES:?} bytes");
        ensure!((2..=100_000).contains(&self.rate), "--rate must be from 2 to 100000 messages a second");
        ensure!(self.scale > 0.0 && self.scale <= 1.0, "--scale must be above 0 and at most 1");
        ensure!((1..=3600).contains(&self.fill_seconds), "--fill-seconds must be from 1 to 3600");
        ensure!(self.soak_messages.is_none_or(|count| count >= 10), "--soak-messages must be at least 10");
        ensure!(
            self.page_messages.is_none_or(|count| PAGE_MESSAGES.contains(&count)),
            "--page-messages must be within {PAGE_MESSAGES:?}"
        );
        ensure!(
            self.soak_seconds.is_none_or(|seconds| (60..=SOAK_SECONDS_MAX).contains(&seconds)),
            "--soak-seconds must be from 60 to {SOAK_SECONDS_MAX}"
        );
        if let Some(store) = self.store.as_deref().filter(|store| *store != THROWAWAY) {
            ensure!(PostgresOptions::is_url(store), "--store must be postgres://… or `{THROWAWAY}`");
        }
        ensure!(self.store.is_some() || !self.cases.iter().any(|case| case.needs_database()), "that case needs --store");
        ensure!(self.receive_listen.is_loopback(), "--receive-listen must be a loopback address");
        Ok(())
    }

    /// The cases asked for, in running order; by default all that can be measured.
    pub(super) fn chosen(&self) -> Vec<Case> {
        if self.receive {
            return vec![Case::Receive];
        }
        if self.soak_messages.is_some() {
            return vec![Case::Soak];
        }
        if self.soak_seconds.is_some() {
            return vec![Case::Steady];
        }
        if self.neighbour {
            return vec![Case::Neighbour, Case::Crowd];
        }
        let by_default = |case: &Case| {
            let possible = (self.target.is_none() || !case.needs_own_server()) && (self.store.is_some() || !case.needs_database());
            self.cases.is_empty() && possible && !matches!(case, Case::Soak | Case::Steady | Case::Pages)
        };
        ALL.into_iter().filter(|case| by_default(case) || self.cases.contains(case)).collect()
    }

    /// The measuring window.
    pub(super) fn window(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// How long filling a server may take.
    pub(super) fn fill(&self) -> Duration {
        Duration::from_secs(self.fill_seconds)
    }

    /// A count of the design, shrunk by the scale; at least one.
    pub(super) fn scaled(&self, count: u32) -> u32 {
        let scaled = (f64::from(count) * self.scale).round() as u32;
        scaled.max(1)
    }

    /// The target's socket address.
    ///
    /// # Errors
    /// It is not plain HTTP on a loopback address: this is no tool against other people's machines.
    pub(super) fn target_address(&self) -> anyhow::Result<Option<std::net::SocketAddr>> {
        let Some(url) = &self.target else { return Ok(None) };
        let uri: http::Uri = url.parse().context("--target is not a URL")?;
        ensure!(uri.scheme_str() == Some("http"), "--target must start with http://");
        ensure!(matches!(uri.path(), "" | "/"), "--target must not have a path");
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let host = if host == "localhost" { "127.0.0.1" } else { host };
        let ip: IpAddr = host.parse().context("--target must name a loopback address")?;
        ensure!(ip.is_loopback(), "--target must be a loopback address");
        Ok(Some((ip, uri.port_u16().unwrap_or(80)).into()))
    }
}

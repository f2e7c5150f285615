//! What is measured: a server of our own, fresh for a case, or a given one.

use super::{
    api::{Admin, Target},
    database::{DatabaseCost, Spent},
    outcome::Outcome,
    process::Usage,
    server::{Recipe, Server},
};
use anyhow::{Context, bail};
use std::time::Duration;

/// The server that a case measures.
#[derive(Debug)]
pub(super) enum Host {
    /// Started for the case, with the recipe to start it again; several nodes on one database.
    Own(Recipe, Vec<Server>),
    /// Given, with its process id where that is known.
    Given(Target, Option<u32>),
}

/// What a load cost the server.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    /// CPU time for one delivery, in nanoseconds.
    pub(super) cpu_ns: Option<u64>,
    /// Resident memory after it, in bytes.
    pub(super) rss: Option<u64>,
    /// What the database did for one message.
    pub(super) database: Option<DatabaseCost>,
}

/// What a server and its database have used so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
    usage: Option<Usage>,
    database: Option<Spent>,
}

impl Used {
    /// Memory that is resident, in bytes.
    pub(super) fn rss(&self) -> Option<u64> {
        self.usage.map(|usage| usage.rss)
    }
}

impl Host {
    /// Starts a fresh server.
    pub(super) async fn own(recipe: Recipe) -> anyhow::Result<Self> {
        let server = Server::start(&recipe).await?;
        Ok(Host::Own(recipe, vec![server]))
    }

    /// Starts another node on the same database.
    pub(super) async fn join(&mut self) -> anyhow::Result<()> {
        let Host::Own(recipe, servers) = self else { bail!("only servers of our own can be joined") };
        let beside = recipe.beside(&format!("node{}", servers.len() + 1))?;
        servers.push(Server::start(&beside).await?);
        Ok(())
    }

    /// Where its nodes listen.
    pub(super) fn targets(&self) -> Vec<&Target> {
        match self {
            Host::Own(_, servers) => servers.iter().map(Server::target).collect(),
            Host::Given(target, _) => vec![target],
        }
    }

    /// Where it listens.
    pub(super) fn target(&self) -> anyhow::Result<&Target> {
        self.targets().first().copied().context("no server runs")
    }

    /// What it and its database have used so far, as far as that can be seen.
    pub(super) async fn used(&self) -> anyhow::Result<Used> {
        match self {
            Host::Own(recipe, servers) => {
                let mut sum: Option<Usage> = None;
                for server in servers {
                    let usage = server.usage()?;
                    sum = Some(sum.map_or(usage, |sum| Usage { cpu: sum.cpu + usage.cpu, rss: sum.rss + usage.rss }));
                }
                let database = match &recipe.database {
                    Some(database) => Some(database.spent().await?),
                    None => None,
                };
                Ok(Used { usage: sum, database })
            }
            Host::Given(_, pid) => Ok(Used { usage: pid.map(Usage::of).transpose()?, database: None }),
        }
    }

    /// The cost since `before`, for what has been delivered; of each message, to so many endpoints.
    pub(super) async fn cost(&self, before: Used, outcome: &Outcome, endpoints: u32) -> anyhow::Result<Cost> {
        let after = self.used().await?;
        let cpu = before.usage.zip(after.usage).map(|(before, after)| after.cpu.saturating_sub(before.cpu));
        let each = |cpu: Duration| u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX).checked_div(outcome.delivered);
        let messages = outcome.delivered / u64::from(endpoints).max(1);
        let database = after.database.zip(before.database).and_then(|(after, before)| after.since(before, messages));
        Ok(Cost { cpu_ns: cpu.and_then(each), rss: after.usage.map(|usage| usage.rss), database })
    }

    /// Ends servers of our own and removes their data; removes the applications from a given one.
    pub(super) async fn end(self, apps: &[&str]) -> anyhow::Result<()> {
        match self {
            Host::Own(recipe, servers) => {
                for server in servers {
                    server.stop().await?;
                }
                recipe.remove().await?;
            }
            Host::Given(target, _) => {
                let mut admin = Admin::new(target);
                for app in apps {
                    admin.delete_app(app).await?;
                }
            }
        }
        Ok(())
    }
}

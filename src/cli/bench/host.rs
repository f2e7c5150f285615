//! What is measured: a server of our own, fresh for a case, or a given one.

use super::{
    api::{Admin, Target},
    outcome::Outcome,
    process::Usage,
    server::{Recipe, Server},
};
use std::time::Duration;

/// The server that a case measures.
#[derive(Debug)]
pub(super) enum Host {
    /// Started for the case, with the recipe to start it again.
    Own(Recipe, Box<Server>),
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
}

impl Host {
    /// Starts a fresh server.
    pub(super) async fn own(recipe: Recipe) -> anyhow::Result<Self> {
        let server = Server::start(&recipe).await?;
        Ok(Host::Own(recipe, Box::new(server)))
    }

    /// Where it listens.
    pub(super) fn target(&self) -> &Target {
        match self {
            Host::Own(_, server) => server.target(),
            Host::Given(target, _) => target,
        }
    }

    /// What it has used so far, if that can be seen.
    pub(super) fn usage(&self) -> anyhow::Result<Option<Usage>> {
        match self {
            Host::Own(_, server) => server.usage().map(Some),
            Host::Given(_, pid) => pid.map(Usage::of).transpose(),
        }
    }

    /// The cost since `before`, for what has been delivered.
    pub(super) fn cost(&self, before: Option<Usage>, outcome: &Outcome) -> anyhow::Result<Cost> {
        let after = self.usage()?;
        let cpu = before.zip(after).map(|(before, after)| after.cpu.saturating_sub(before.cpu));
        let each = |cpu: Duration| u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX).checked_div(outcome.delivered);
        Ok(Cost { cpu_ns: cpu.and_then(each), rss: after.map(|usage| usage.rss) })
    }

    /// Ends a server of our own and removes its data; removes the applications from a given one.
    pub(super) async fn end(self, apps: &[&str]) -> anyhow::Result<()> {
        match self {
            Host::Own(recipe, server) => {
                server.stop().await?;
                std::fs::remove_dir_all(recipe.data)?;
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

//! The cases, one file each, and the order in which they run.

mod latency;
mod memory;
mod neighbour;
mod nodes;
mod raw;
mod site;
mod size;
mod soak;
mod start;
mod throughput;

#[cfg(test)]
pub(super) use site::Site;

use super::{Bench, args::Case, figure::Figure};

/// A case in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// What.
    pub(super) kind: Case,
    /// How its figure is called.
    pub(super) name: &'static str,
}

/// The chosen cases in running order; with the raw figure before and after them when it or a share of it is asked for.
pub(super) fn plan(chosen: &[Case]) -> Vec<Planned> {
    let raw = chosen.iter().any(|case| matches!(case, Case::Raw | Case::One | Case::Nodes | Case::Ten | Case::Receive));
    let raw = |name| raw.then_some(Planned { kind: Case::Raw, name });
    let others = chosen.iter().filter(|case| **case != Case::Raw);
    let others = others.map(|case| Planned { kind: *case, name: case.name() });
    raw("raw before").into_iter().chain(others).chain(raw("raw after")).collect()
}

impl Case {
    fn name(self) -> &'static str {
        match self {
            Case::Raw => "raw",
            Case::One => "one endpoint",
            Case::Nodes => "nodes",
            Case::Soak => "soak",
            Case::Ten => "ten endpoints",
            Case::Receive => "receive",
            Case::Latency => "latency",
            Case::Neighbour => "neighbour",
            Case::Memory => "memory",
            Case::Start => "start",
            Case::Size => "binary size",
        }
    }

    /// Measures it.
    ///
    /// # Errors
    /// It could not be measured.
    pub(super) async fn measure(self, bench: &Bench, name: &'static str) -> anyhow::Result<Vec<Figure>> {
        match self {
            Case::Raw => Ok(vec![raw::measure(bench, name).await?]),
            Case::One => Ok(vec![throughput::one(bench, name).await?]),
            Case::Ten => Ok(vec![throughput::ten(bench, name).await?]),
            Case::Nodes => nodes::measure(bench, name).await,
            Case::Soak => Ok(vec![soak::measure(bench, name).await?]),
            Case::Receive => Ok(vec![throughput::receive(bench, name).await?]),
            Case::Latency => latency::measure(bench, name).await,
            Case::Neighbour => Ok(vec![neighbour::measure(bench, name).await?]),
            Case::Memory => Ok(vec![memory::measure(bench, name).await?]),
            Case::Start => Ok(vec![start::measure(bench, name).await?]),
            Case::Size => Ok(vec![size::measure(bench, name)?]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_bring_the_raw_figure_along() {
        let names = |cases: &[Case]| plan(cases).iter().map(|case| case.name).collect::<Vec<_>>();
        assert_eq!(names(&[Case::One]), ["raw before", "one endpoint", "raw after"]);
        assert_eq!(names(&[Case::Latency, Case::Size]), ["latency", "binary size"]);
        assert_eq!(names(&[Case::Raw]), ["raw before", "raw after"]);
    }
}

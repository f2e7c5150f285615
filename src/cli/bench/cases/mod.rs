//! The cases, one file each, and the order in which they run.

mod latency;
mod memory;
mod neighbour;
mod nodes;
mod pages;
mod raw;
mod site;
mod size;
mod soak;
mod start;
mod steady;
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

/// The chosen cases in running order; with the raw figure before and after them when it or a share of it is asked for, and
/// between those that are shares of it: a machine that is shared does not stay the same for as long as all of them take.
pub(super) fn plan(chosen: &[Case]) -> Vec<Planned> {
    let needed = chosen.iter().any(|case| *case == Case::Raw || case.is_share());
    let raw = |name, needed: bool| needed.then_some(Planned { kind: Case::Raw, name });
    let others: Vec<Case> = chosen.iter().copied().filter(|case| *case != Case::Raw).collect();
    let follows = |at: usize| others.iter().skip(at + 1).any(|case| case.is_share());
    let cases = others.iter().enumerate().flat_map(|(at, case)| {
        let between = raw("raw between", case.is_share() && follows(at));
        std::iter::once(Planned { kind: *case, name: case.name() }).chain(between)
    });
    raw("raw before", needed).into_iter().chain(cases).chain(raw("raw after", needed)).collect()
}

impl Case {
    /// Whether its figure is a share of the raw one.
    fn is_share(self) -> bool {
        matches!(self, Case::One | Case::Nodes | Case::Ten | Case::Receive)
    }

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
            Case::Crowd => "crowd",
            Case::Steady => "steady",
            Case::Pages => "pages",
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
            Case::Neighbour => Ok(vec![neighbour::measure(bench, name, neighbour::NEIGHBOUR).await?]),
            Case::Crowd => Ok(vec![neighbour::measure(bench, name, neighbour::CROWD).await?]),
            Case::Steady => Ok(vec![steady::measure(bench, name).await?]),
            Case::Pages => Ok(vec![pages::measure(bench, name).await?]),
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
        let two = ["raw before", "one endpoint", "raw between", "ten endpoints", "latency", "raw after"];
        assert_eq!(names(&[Case::One, Case::Ten, Case::Latency]), two);
        assert_eq!(names(&[Case::Latency, Case::Size]), ["latency", "binary size"]);
        assert_eq!(names(&[Case::Raw]), ["raw before", "raw after"]);
    }
}

//! Half of what a server can do, for minutes on end: do its memory and its descriptors stay as they were?

use super::super::{
    Bench,
    figure::{Figure, Measure},
    host::Host,
    process::descriptors,
};
use super::site::{Drive, Site};
use anyhow::{Context, bail};
use std::{
    fs,
    io::{ErrorKind, Write},
    path::Path,
    time::Duration,
};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(60);

/// The server's memory at the end as a multiple of what it was after the first look: by then all that is kept has its size.
/// How it was at each look is in the notes, and printed on the way.
pub(super) async fn measure(bench: &Bench, name: &'static str) -> anyhow::Result<Figure> {
    let host = bench.host(name).await?;
    let Host::Own(recipe, servers) = &host else { bail!("it needs a server of our own") };
    let (data, pid) = (recipe.data.clone(), servers.first().context("no server runs")?.pid());
    let mut site = Site::new(bench, host.target()?, 1).await?;
    let (full, _) = site.measure(bench, &host, Drive::Closed).await?;
    let rate = (full.rate() / 2.0).max(1.0) as u64;
    let (mut notes, mut memory, mut faults) = (vec![format!("{:.0}/s at most; so {rate}/s", full.rate())], Vec::new(), full.faults);
    let mut left = Duration::from_secs(bench.args.soak_seconds.unwrap_or(LOOK.as_secs()));
    while !left.is_zero() {
        let step = left.min(LOOK);
        left -= step;
        let outcome = site.run(bench, Drive::Open(rate), step).await?;
        let rss = host.used().await?.rss().context("its memory cannot be seen")?;
        let p99 = outcome.from_start.map_or(0.0, |times| times.p99 as f64 / 1e6);
        let note = format!(
            "{} delivered, p99 {p99:.2} ms, {} errors, {} missing; memory {:.1} MB, {} descriptors, folder {:.0} MB",
            outcome.delivered,
            outcome.faults.errors,
            outcome.faults.missing,
            rss as f64 / 1e6,
            descriptors(pid)?,
            size(&data)? as f64 / 1e6
        );
        let _nobody_reads = writeln!(std::io::stderr().lock(), "{note}");
        notes.push(note);
        memory.push(rss);
        faults.add(outcome.faults);
    }
    host.end(&[&site.app]).await?;
    let grown = memory.first().zip(memory.last()).map(|(first, last)| Measure::Times(*last as f64 / *first as f64));
    let rss = memory.last().copied();
    Ok(Figure { name, measure: grown, rss, faults, notes, ..Figure::default() })
}

/// Bytes that the files below a folder take. What is deleted meanwhile takes none.
fn size(folder: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut sum = 0;
    for path in entries.flatten().map(|entry| entry.path()) {
        sum += match fs::symlink_metadata(&path) {
            Ok(about) if about.is_dir() => size(&path)?,
            Ok(about) => about.blocks() * 512,
            Err(_) => 0,
        };
    }
    Ok(sum)
}

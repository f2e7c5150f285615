//! The real binary among hostile peers: crowds that take its connections, no descriptors left, receivers that lie.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets the unexpected ends there")]

mod clock;
mod crowd;
mod descriptors;
mod greedy;
mod jumps;
#[path = "../security/peers.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod peers;
mod receivers;
#[path = "../support/mod.rs"]
mod support;
#[path = "../security/tenant.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod tenant;

use std::{fs, time::Duration};

/// User and system time that a process has used.
fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// The share of one processor that a process uses while nothing is asked of it.
async fn idle_share(pid: u32) -> f64 {
    const WATCHED: Duration = Duration::from_secs(3);
    let (before, begun) = (cpu_time(pid), tokio::time::Instant::now());
    tokio::time::sleep(WATCHED).await;
    (cpu_time(pid) - before).as_secs_f64() / begun.elapsed().as_secs_f64()
}

/// Files and connections that a process has open.
fn open_descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

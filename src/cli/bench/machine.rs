//! The machine: what the figures were measured on.

use super::process::kilobytes;
use serde::Serialize;
use std::{
    io::Write,
    path::{Path, PathBuf},
};
use tokio::time::Instant;

/// Writes that the disk's speed is taken from.
const SYNCS: usize = 64;
/// Size of each, in bytes.
const SYNC_BYTES: usize = 4096;

/// Above this load before the start, the machine is not quiet.
const LOAD_MAX: f64 = 0.5;

/// The machine.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    cores: usize,
    cpu: String,
    memory_bytes: u64,
    kernel: String,
    filesystem: String,
    /// Median time of one small write with `fdatasync` in the data folder, in nanoseconds.
    sync_ns: u64,
    debug_build: bool,
    /// Processes that wanted to run, on average over the last minute, before the bench began.
    load: f64,
}

impl Machine {
    /// This one; `folder` is where data is kept.
    ///
    /// # Errors
    /// Nothing can be written in the folder.
    pub(super) fn here(folder: &Path) -> std::io::Result<Self> {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Ok(Machine {
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            cpu: cpu_model(&read("/proc/cpuinfo")),
            memory_bytes: kilobytes(&read("/proc/meminfo"), "MemTotal:").unwrap_or(0) * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            filesystem: filesystem(&read("/proc/self/mounts"), &folder.canonicalize()?),
            sync_ns: sync_time(folder)?,
            debug_build: cfg!(debug_assertions),
            load: read("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0),
        })
    }

    /// What makes the figures doubtful.
    pub(super) fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        if self.debug_build {
            doubts.push("this is a debug build: no figure counts".to_owned());
        }
        if matches!(self.filesystem.as_str(), "tmpfs" | "ramfs") {
            doubts.push(format!("the data is kept in memory ({}): nothing is durable; use --data", self.filesystem));
        }
        if self.load > LOAD_MAX {
            doubts.push(format!("other processes were busy (load {:.2} before the start): the figures may be too low", self.load));
        }
        doubts
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let memory = self.memory_bytes as f64 / 1e9;
        let sync = self.sync_ns as f64 / 1e6;
        write!(f, "{} cores, {}, {memory:.1} GB, Linux {}, ", self.cores, self.cpu, self.kernel)?;
        write!(f, "{} with {sync:.2} ms for a 4 kB fdatasync", self.filesystem)
    }
}

fn cpu_model(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let model = line.and_then(|line| line.split_once(':')).map(|(_, model)| model.trim());
    model.unwrap_or(std::env::consts::ARCH).to_owned()
}

/// The type of the filesystem that holds an absolute path: the longest mount point above it, the last one mounted there.
fn filesystem(mounts: &str, path: &Path) -> String {
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((PathBuf::from(fields.next()?), fields.next()?))
    });
    let holding = mounts.filter(|(mount, _)| path.starts_with(mount));
    holding.max_by_key(|(mount, _)| mount.components().count()).map_or("unknown", |(_, kind)| kind).to_owned()
}

fn sync_time(folder: &Path) -> std::io::Result<u64> {
    let path = folder.join("sync");
    let mut file = std::fs::File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let start = Instant::now();
        file.write_all(&[1; SYNC_BYTES])?;
        file.sync_data()?;
        times.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    std::fs::remove_file(path)?;
    Ok(super::sample::Summary::of(times).map_or(0, |summary| summary.p50))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_point_tells_the_filesystem() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/disk xfs rw 0 0\n";
        assert_eq!(filesystem(mounts, Path::new("/tmp/x")), "tmpfs");
        assert_eq!(filesystem(mounts, Path::new("/tmp/disk/x")), "xfs");
        assert_eq!(filesystem(mounts, Path::new("/tmpfile")), "ext4");
        assert_eq!(filesystem("", Path::new("/x")), "unknown");
    }

    #[test]
    fn the_model_is_named() {
        assert_eq!(cpu_model("processor : 0\nmodel name\t: Quick 3000\n"), "Quick 3000");
        assert_eq!(cpu_model(""), std::env::consts::ARCH);
    }
}

//! CPU time and memory of a process, as Linux shows them under `/proc`.

use anyhow::Context;
use std::time::Duration;

/// What a process has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    /// User and system time since its start.
    pub(super) cpu: Duration,
    /// Memory that is resident now, in bytes.
    pub(super) rss: u64,
}

impl Usage {
    /// Of the process with that id.
    pub(super) fn of(pid: u32) -> anyhow::Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        let ticks = ticks(&read("stat")?).context("/proc/PID/stat has no times")?;
        let rss = kilobytes(&read("status")?, "VmRSS:").context("/proc/PID/status has no VmRSS")?;
        let second = rustix::param::clock_ticks_per_second().max(1);
        Ok(Usage { cpu: Duration::from_nanos(ticks.saturating_mul(1_000_000_000) / second), rss: rss * 1024 })
    }
}

/// The sum of `utime` and `stime` (fields 14 and 15), in clock ticks. The second field may contain spaces.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (times.next()?.parse().ok()?, times.next()?.parse().ok()?);
    Some(user + system)
}

/// The value of a `Name:  123 kB` line.
pub(super) fn kilobytes(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_a_name_with_spaces() {
        let stat = "12 (a ) b) S 1 12 12 0 -1 4194560 900 0 1 0 250 75 0 0 20 0 3 0 100 200 300";
        assert_eq!(ticks(stat), Some(325));
        assert_eq!(ticks("12 (a) S 1"), None);
    }

    #[test]
    fn memory_is_read_from_its_line() {
        assert_eq!(kilobytes("VmPeak:\t  10 kB\nVmRSS:\t  1234 kB\n", "VmRSS:"), Some(1234));
        assert_eq!(kilobytes("VmPeak: 1 kB", "VmRSS:"), None);
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(Usage::of(std::process::id()).unwrap().rss > 100_000);
    }
}

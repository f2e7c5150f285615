//! CPU time and memory of a process, and CPU time of a family of them, as Linux shows them under `/proc`.

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
        Ok(Usage { cpu: time(ticks), rss: rss * 1024 })
    }
}

/// How many files and connections a process has open.
pub(super) fn descriptors(pid: u32) -> anyhow::Result<usize> {
    let path = format!("/proc/{pid}/fd");
    Ok(std::fs::read_dir(&path).with_context(|| format!("cannot read {path}"))?.count())
}

/// A process with its children: a PostgreSQL server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// User and system time of the parent, of its children, and of those that have ended.
    pub(super) cpu: Duration,
}

impl Family {
    /// The parent of that process, and all of its children.
    pub(super) fn above(child: u32) -> anyhow::Result<Self> {
        let stat = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat"));
        let parent = parent(&stat(child)?).context("/proc/PID/stat has no parent")?;
        // The parent's own line counts children that have ended.
        let mut sum = ended(&stat(parent)?).context("/proc/PID/stat has no times")?;
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
            // One that ends meanwhile is counted by its parent the next time.
            let Some(stat) = pid.and_then(|pid| stat(pid).ok()) else { continue };
            if pid == Some(parent) || self::parent(&stat) == Some(parent) {
                sum += ticks(&stat).unwrap_or(0);
            }
        }
        Ok(Family { cpu: time(sum) })
    }
}

/// Clock ticks as time.
fn time(ticks: u64) -> Duration {
    let second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_nanos(ticks.saturating_mul(1_000_000_000) / second)
}

/// The parent's id (field 4).
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The sum of `cutime` and `cstime` (fields 16 and 17): what children used that have ended and were waited for.
fn ended(stat: &str) -> Option<u64> {
    let mut times = stat.rsplit_once(')')?.1.split_whitespace().skip(13);
    let (user, system): (u64, u64) = (times.next()?.parse().ok()?, times.next()?.parse().ok()?);
    Some(user + system)
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
        assert_eq!((parent(stat), ended(stat)), (Some(1), Some(0)));
    }

    #[test]
    fn a_family_has_used_time() {
        let before = Family::above(std::process::id()).unwrap().cpu;
        let until = tokio::time::Instant::now() + Duration::from_millis(50);
        while tokio::time::Instant::now() < until {}
        assert!(Family::above(std::process::id()).unwrap().cpu > before);
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

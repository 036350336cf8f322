//! What the machine under this process says of itself in `/proc`: load, memory, CPU. Where it says nothing, Java's words for that.

use std::cell::Cell;
use std::fs::read_to_string;

/// The load average of the last minute; -1.0 where it is unknown.
pub fn load() -> f32 {
    read_to_string("/proc/loadavg").ok().and_then(|text| first_number(&text)).unwrap_or(-1.0)
}

/// Used memory as a share of all, 0 to 1.
pub fn memory_used() -> f32 {
    read_to_string("/proc/meminfo").ok().and_then(|text| used_share(&text)).unwrap_or(0.0)
}

/// Memory of this process that is in RAM, bytes.
pub fn resident_bytes() -> u64 {
    read_to_string("/proc/self/status").ok().and_then(|text| kibibytes(&text, "VmRSS:")).unwrap_or(0) * 1_024
}

/// Busy CPU time of the machine between one look and the next.
#[derive(Debug, Default)]
pub struct CpuMeter(Cell<CpuTime>);

/// Ticks since the machine started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct CpuTime {
    busy: u64,
    all: u64,
}

impl CpuMeter {
    /// The busy share since the last look, 0 to 1; at the first, since the machine started.
    pub fn used(&self) -> f32 {
        let Some(now) = read_to_string("/proc/stat").ok().and_then(|text| cpu_time(&text)) else { return 0.0 };
        let before = self.0.replace(now);
        share(now.busy.saturating_sub(before.busy), now.all.saturating_sub(before.all))
    }
}

fn first_number(text: &str) -> Option<f32> {
    text.split_whitespace().next()?.parse().ok()
}

fn used_share(meminfo: &str) -> Option<f32> {
    let all = kibibytes(meminfo, "MemTotal:")?;
    let free = kibibytes(meminfo, "MemAvailable:").or_else(|| kibibytes(meminfo, "MemFree:"))?;
    Some(share(all.saturating_sub(free), all))
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// The line `cpu  user nice system idle iowait irq softirq steal …` (proc(5)); guest time is in user time already.
fn cpu_time(stat: &str) -> Option<CpuTime> {
    const IDLE: [usize; 2] = [3, 4];
    let ticks = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = ticks.split_whitespace().take(8).map_while(|n| n.parse().ok()).collect();
    let idle: u64 = IDLE.iter().map(|i| ticks.get(*i).copied().unwrap_or(0)).sum();
    let all: u64 = ticks.iter().sum();
    Some(CpuTime { busy: all - idle, all })
}

fn share(part: u64, whole: u64) -> f32 {
    if whole == 0 { 0.0 } else { part as f32 / whole as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says_is_read() {
        assert_eq!(first_number("0.59 1.05 0.85 1/345 7041\n"), Some(0.59));
        let meminfo = "MemTotal:       8000 kB\nMemFree:        1000 kB\nMemAvailable:   6000 kB\n";
        assert_eq!(used_share(meminfo), Some(0.25));
        assert_eq!(used_share("MemTotal: 8000 kB\nMemFree: 1000 kB\n"), Some(0.875));
        assert_eq!(kibibytes("Name:\tx\nVmRSS:\t  5120 kB\n", "VmRSS:"), Some(5_120));
        let stat = "cpu  10 0 5 80 5 0 0 0 7 7\ncpu0 1 1 1 1\n";
        assert_eq!(cpu_time(stat), Some(CpuTime { busy: 15, all: 100 }));
    }

    #[test]
    fn what_proc_does_not_say_is_left_open() {
        for text in ["", "nonsense", "cpu x", "MemTotal: x kB"] {
            assert_eq!((first_number(text), used_share(text), kibibytes(text, "VmRSS:")), (None, None, None), "{text}");
            assert!(cpu_time(text).is_none_or(|time| time == CpuTime::default()), "{text}");
        }
        assert_eq!(share(1, 0), 0.0);
    }

    #[test]
    fn this_machine_has_memory_and_time() {
        assert!(resident_bytes() > 0 && memory_used() > 0.0 && load() >= 0.0);
        assert!((0.0..=1.0).contains(&CpuMeter::default().used()));
    }
}

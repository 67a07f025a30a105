//! What the machine was doing meanwhile.

/// The machine's processor time so far, in clock ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ticks {
    all: u64,
    steal: u64,
}

impl Ticks {
    /// Up to now; zeros where the kernel does not tell.
    pub fn now() -> Self {
        Self::parse(&std::fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    /// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal;
    /// guests' time, behind these, is in user already (proc_stat(5)).
    fn parse(text: &str) -> Self {
        let line = text.lines().next().unwrap_or_default();
        let numbers: Vec<u64> = line
            .split_whitespace()
            .skip(1)
            .take(8)
            .filter_map(|number| number.parse().ok())
            .collect();
        Self { all: numbers.iter().sum(), steal: numbers.get(7).copied().unwrap_or_default() }
    }

    /// The fraction of the time since `before` that a hypervisor gave to others.
    pub fn steal_since(self, before: Self) -> f64 {
        let all = self.all.saturating_sub(before.all);
        if all == 0 { 0.0 } else { self.steal.saturating_sub(before.steal) as f64 / all as f64 }
    }
}

/// The 1-minute load average; 0 where the kernel does not tell.
pub fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steal_is_a_fraction_of_all_time() {
        let before = Ticks::parse("cpu  100 0 50 800 10 0 0 40 7 0\ncpu0 1 2 3\n");
        let after = Ticks::parse("cpu  150 0 60 820 10 0 0 60 9 0\n");
        assert!((after.steal_since(before) - 0.2).abs() < 1e-12);
        assert_eq!(before.steal_since(before), 0.0);
        assert_eq!(Ticks::parse(""), Ticks::default());
    }
}

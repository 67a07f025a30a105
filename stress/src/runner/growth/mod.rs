//! A watch over time: what a run does and what it holds, at a steady interval.

mod slope;

use std::fmt;
use std::time::Duration;

use drystone_checker::counters::{Count, Counters};
use drystone_checker::violation::Kind;
use drystone_harness::text::units;
use drystone_harness::usage::Usage;

use crate::model::finding::Finding;
use crate::model::sample::Sample;
use crate::model::spec::Spec;

pub use self::slope::{Growth, Slope, growth, slope};

/// So many samples are taken of a run that takes as long as it is planned, however long that is.
const PLANNED_SAMPLES: u32 = 1_000;
/// Of one that takes longer no more than so many are.
const MOST_SAMPLES: usize = 2_000;
/// The shortest interval.
const SHORTEST: Duration = Duration::from_millis(250);

/// Takes samples.
#[derive(Debug)]
pub struct Watcher {
    interval: Duration,
    samples: Vec<Sample>,
}

impl Watcher {
    /// One for a run that is planned to take `planned`.
    pub fn new(planned: Duration) -> Self {
        Self { interval: (planned / PLANNED_SAMPLES).max(SHORTEST), samples: Vec::new() }
    }

    /// Takes a sample if it is time, and returns it.
    pub fn look(&mut self, counters: &Counters, usage: Usage, elapsed: Duration) -> Option<Sample> {
        let before = self.samples.last().copied().unwrap_or_default();
        let seconds = elapsed.as_secs_f64();
        let due = before.seconds + self.interval.as_secs_f64();
        // Before a child has reported its use there is nothing to see.
        if seconds < due || usage.process == 0 || self.samples.len() >= MOST_SAMPLES {
            return None;
        }
        let operations = counters[Count::Operations];
        let live = counters[Count::BytesAllocated].saturating_sub(counters[Count::BytesFreed]);
        let resident = usage.of_the_allocator();
        let sample = Sample {
            seconds,
            process: usage.process,
            operations,
            operations_per_second: operations.saturating_sub(before.operations) as f64
                / (seconds - before.seconds),
            verified_bytes: counters[Count::BytesVerified],
            live_bytes: live,
            resident_bytes: resident,
            process_bytes: usage.resident,
            harness_bytes: usage.harness,
            fragmentation: 1.0 - live as f64 / resident.max(live).max(1) as f64,
            minor_faults: usage.minor_faults,
            major_faults: usage.major_faults,
        };
        self.samples.push(sample);
        Some(sample)
    }

    /// Memory that grows in one of the run's processes, watched for `enough` at least.
    pub fn growth(&self, enough: Duration) -> Option<Growth> {
        let processes = self.samples.chunk_by(|one, next| one.process == next.process);
        processes.filter_map(|samples| growth(samples, enough.as_secs_f64())).next()
    }
}

impl Growth {
    /// The finding that this is, in a run of `spec` that took `elapsed`, which is how long a replay
    /// takes.
    pub fn finding(&self, spec: &Spec, elapsed: Duration) -> Finding {
        let expected = "memory that stays as it is while the live set does";
        let finding = spec.finding(elapsed, Kind::Growth, expected, self.to_string());
        Finding { replay_seconds: elapsed.as_secs_f64().ceil() as u64, ..finding }
    }
}

/// What was seen of the memory.
impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { slope, live_at_most, seconds, resident } = self;
        let rate =
            |per_second: f64| format!("{}/min", units::bytes((per_second * 60.0).max(0.0) as u64));
        write!(
            f,
            "the resident set grew by {} (99 % confidence: {} to {}) for {seconds:.0} s from {} \
             on, the live set by {} at most",
            rate(slope.middle),
            rate(slope.least),
            rate(slope.most),
            units::bytes(*resident as u64),
            rate(*live_at_most)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_at_a_steady_interval_and_are_bounded() {
        let mut watcher = Watcher::new(Duration::from_secs(8 * 3600));
        let usage = Usage { process: 7, resident: 100, harness: 20, ..Usage::default() };
        let mut counters = Counters::default();
        counters[Count::BytesAllocated] = 60;
        counters[Count::BytesFreed] = 20;
        for second in 1..=8 * 3600 {
            counters[Count::Operations] += 10;
            watcher.look(&counters, usage, Duration::from_secs(second));
        }
        let samples = &watcher.samples;
        assert!((900..=1_000).contains(&samples.len()), "{}", samples.len());
        let last = samples.last().unwrap();
        assert_eq!((last.live_bytes, last.resident_bytes), (40, 80));
        assert!((last.fragmentation - 0.5).abs() < 1e-9);
        assert!((last.operations_per_second - 10.0).abs() < 1e-6);
        // A child that has not spoken yet is not looked at.
        assert_eq!(
            Watcher::new(Duration::ZERO).look(&counters, Usage::default(), Duration::from_secs(9)),
            None
        );
    }
}

//! A comparison: two records, benchmark by benchmark.
//!
//! The unit of evidence is the process. Within one process a benchmark keeps its memory layout, its
//! place in the caches and the state of the heap, so its samples resemble each other more than they
//! resemble the next process's; an interval over them would be too narrow. So each process counts
//! as one value, the median of its samples.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use regex::Regex;

use super::comparable;
use super::order;
use super::side::Side;
use super::verdict::{Threshold, Verdict};
use crate::records::record::Record;
use crate::records::stats::{self, Interval, median};

/// The least probability with which an interval must hold the true change.
pub const LEVEL: f64 = 0.95;

/// What changed from A to B.
#[derive(Debug)]
pub struct Comparison {
    /// The side compared from.
    pub a: Side,
    /// The side compared to.
    pub b: Side,
    /// Up to where a change counts as none.
    pub threshold: Threshold,
    /// A row per benchmark of either side, by id, numbers in it in their order.
    pub rows: Vec<Row>,
    /// What to know before believing it, a sentence each.
    pub notes: Vec<String>,
}

/// One benchmark.
#[derive(Clone, Debug)]
pub struct Row {
    /// `group/allocator/parameter`.
    pub id: String,
    /// Processes that measured it, on A and on B.
    pub processes: [usize; 2],
    /// The median over A's processes of each one's median, in ns per iteration.
    pub a: Option<f64>,
    /// The same of B.
    pub b: Option<f64>,
    /// How B's time compares with A's; none if a side lacks the benchmark.
    pub change: Option<Change>,
    /// What that means.
    pub verdict: Verdict,
}

/// B's time over A's, as a natural logarithm: zero is no change.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// The Hodges–Lehmann estimate over the processes' medians. It need not be the ratio of the two
    /// medians shown, though it is near it.
    pub estimate: f64,
    /// Its interval; none with too few processes.
    pub interval: Option<Interval>,
    /// The smallest true slow-down that the interval's width would have let through.
    pub detectable: Option<f64>,
}

impl Comparison {
    /// Compares the benchmarks of both sides whose id `filter` matches; all without one.
    ///
    /// # Errors
    /// If there is no such benchmark on either side.
    pub fn new(a: Side, b: Side, filter: Option<&Regex>, threshold: Threshold) -> Result<Self> {
        let ids: BTreeSet<&String> = [&a, &b]
            .into_iter()
            .flat_map(|side| &side.record.processes)
            .flat_map(|process| process.benchmarks.keys())
            .filter(|id| filter.is_none_or(|filter| filter.is_match(id)))
            .collect();
        ensure!(!ids.is_empty(), "the filter matches no benchmark of either side");
        let row = |id: &String| Row::new(id, &a.record, &b.record, threshold);
        let mut rows: Vec<Row> = ids.into_iter().map(row).collect();
        // Stable, so ids that differ in leading zeros alone stay in the set's order.
        rows.sort_by(|a, b| order::key(&a.id).cmp(&order::key(&b.id)));
        let notes = comparable::notes(&a, &b);
        Ok(Self { a, b, threshold, rows, notes })
    }

    /// How many rows have this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.rows.iter().filter(|row| row.verdict == verdict).count()
    }

    /// All rows' intervals.
    pub fn intervals(&self) -> impl Iterator<Item = Interval> {
        self.rows.iter().filter_map(|row| row.change?.interval)
    }

    /// How many intervals are to be expected to miss the true change, by chance alone.
    pub fn expected_misses(&self) -> f64 {
        self.intervals().map(|interval| 1.0 - interval.coverage).sum()
    }

    /// The exit code: 1 if a benchmark is slower; else 2 if a side lacks one (unless that is
    /// allowed) or no benchmark is on both; else 3 if for one it cannot be told; else 0.
    pub fn exit_code(&self, allow_missing: bool) -> u8 {
        let any = |verdicts: &[Verdict]| verdicts.iter().any(|&verdict| self.count(verdict) > 0);
        let compared = self.rows.iter().any(|row| row.change.is_some());
        if any(&[Verdict::Slower]) {
            1
        } else if !compared || !allow_missing && any(&[Verdict::MissingInA, Verdict::MissingInB]) {
            2
        } else if any(&[Verdict::Unclear, Verdict::NoInterval, Verdict::Apart]) {
            3
        } else {
            0
        }
    }
}

impl Row {
    fn new(id: &str, a: &Record, b: &Record, threshold: Threshold) -> Self {
        let work = [work(a, id), work(b, id)];
        let [x, y] = [medians(a, id, work[0], work), medians(b, id, work[1], work)];
        let of_all = |medians: &[f64]| (!medians.is_empty()).then(|| median(medians));
        let change = (!x.is_empty() && !y.is_empty()).then(|| Change::between(&x, &y, threshold));
        let verdict = match change {
            Some(_) if is_peer(id) => Verdict::Peer,
            Some(_) if a.session != b.session => Verdict::Apart,
            Some(change) => Verdict::of(change.interval, threshold),
            None if x.is_empty() => Verdict::MissingInA,
            None => Verdict::MissingInB,
        };
        Self {
            id: id.to_owned(),
            processes: [x.len(), y.len()],
            a: of_all(&x),
            b: of_all(&y),
            change,
            verdict,
        }
    }
}

impl Change {
    /// The change from the processes' medians `x` to `y`. A slow-down multiplies a time; as a
    /// logarithm that is a shift, which is what the interval is for.
    fn between(x: &[f64], y: &[f64], threshold: Threshold) -> Self {
        let logs = |medians: &[f64]| medians.iter().map(|time| time.ln()).collect::<Vec<_>>();
        let shift = stats::shift(&logs(x), &logs(y), LEVEL);
        let detectable = shift.interval.map(|interval| threshold.detectable(interval));
        Self { estimate: shift.estimate, interval: shift.interval, detectable }
    }
}

/// Other allocators, by the second part of an id: there to be looked at, never what changed.
const PEERS: [&str; 6] = ["system", "mimalloc", "jemalloc", "tcmalloc", "rpmalloc", "snmalloc"];

/// Whether the id is of another allocator.
fn is_peer(id: &str) -> bool {
    id.split('/')
        .nth(1)
        .is_some_and(|allocator| PEERS.iter().any(|peer| allocator.starts_with(peer)))
}

/// How much work an iteration does, in criterion's units; none if it is not told.
fn work(record: &Record, id: &str) -> Option<f64> {
    let samples = record.processes.iter().find_map(|process| process.benchmarks.get(id))?;
    samples.throughput.as_ref()?.as_object()?.values().next()?.as_f64().filter(|work| *work > 0.0)
}

/// Each process's median of the benchmark `id`, in ns per iteration; fewer if some lack it. Where
/// the sides' iterations do different amounts of work, B's is taken as if it did as much as A's:
/// half the work in half the time is no speed-up.
fn medians(record: &Record, id: &str, own: Option<f64>, both: [Option<f64>; 2]) -> Vec<f64> {
    let scale = match (both, own) {
        ([Some(a), Some(b)], Some(own)) if a != b => a / own,
        _ => 1.0,
    };
    record
        .processes
        .iter()
        .filter_map(|process| process.benchmarks.get(id))
        .map(|samples| median(&samples.ns_per_iteration()) * scale)
        .collect()
}

/// Comparisons for other rooms' tests.
#[cfg(test)]
pub mod fixtures {
    use super::*;
    use crate::records::record::fixtures::record;

    /// A comparison of processes' medians, `(id, of A, of B)`.
    pub fn comparison(benchmarks: &[(&str, &[f64], &[f64])]) -> Comparison {
        let of = |which: usize| -> Vec<(&str, &[f64])> {
            benchmarks
                .iter()
                .map(|&(id, a, b)| (id, if which == 0 { a } else { b }))
                .filter(|(_, times)| !times.is_empty())
                .collect()
        };
        let a = record("a1a2a3a4a5a6a7a8a9a0a1a2a3a4a5a6a7a8a9a0", &of(0));
        let b = record("b1b2b3b4b5b6b7b8b9b0b1b2b3b4b5b6b7b8b9b0", &of(1));
        let side = |name: &str, record| Side { name: name.to_owned(), record };
        let threshold = Threshold { percent: 5.0 };
        Comparison::new(side("main", a), side("faster-free", b), None, threshold)
            .expect("the fixture has benchmarks")
    }
}

#[cfg(test)]
mod tests {
    use super::fixtures::comparison;
    use super::*;
    use crate::records::record::fixtures::record;
    use proptest::prelude::*;

    const STEADY: [f64; 5] = [100.0, 101.0, 99.0, 100.5, 99.5];

    fn times(factor: f64) -> Vec<f64> {
        STEADY.iter().map(|time| time * factor).collect()
    }

    #[test]
    fn a_row_holds_the_medians_the_change_and_its_interval() {
        let b = times(1.2);
        let comparison = comparison(&[("x/y/z", &STEADY, &b)]);
        let row = &comparison.rows[0];
        // The fixture's samples are 1.1, 1.0 and 0.9 times the process's median.
        assert_eq!(row.a, Some(100.0));
        assert!((row.b.unwrap() - 120.0).abs() < 1e-9);
        assert_eq!(row.processes, [5, 5]);
        let change = row.change.unwrap();
        assert!((change.estimate.exp() - 1.2).abs() < 1e-9);
        let interval = change.interval.unwrap();
        // The third smallest and third largest of the 25 ratios, by hand: 99.5 / 101 (after 99 /
        // 101 and 99 / 100.5) and its reciprocal.
        assert!((interval.low.exp() - 1.2 * 99.5 / 101.0).abs() < 1e-9);
        assert!((interval.high.exp() - 1.2 * 101.0 / 99.5).abs() < 1e-9);
        assert!((interval.coverage - (1.0 - 8.0 / 252.0)).abs() < 1e-12);
        let width = 2.0 * (101.0f64 / 99.5).ln();
        assert!((change.detectable.unwrap() - (1.05f64.ln() + width)).abs() < 1e-9);
        assert_eq!(row.verdict, Verdict::Slower);
    }

    /// The mistake this tool exists to avoid: many samples in one process are still one value.
    #[test]
    fn a_single_process_has_no_interval_however_many_samples() {
        let comparison = comparison(&[("x/y/z", &[100.0], &[200.0])]);
        let row = &comparison.rows[0];
        assert!(comparison.a.record.processes[0].benchmarks["x/y/z"].times.len() > 1);
        assert_eq!(row.verdict, Verdict::NoInterval);
        assert!(row.change.unwrap().interval.is_none());
        assert_eq!(comparison.exit_code(false), 3);
    }

    #[test]
    fn exit_codes_in_order_of_weight() {
        let (slower, faster) = (times(1.2), times(0.8));
        let wild = [50.0, 200.0, 100.0, 70.0, 150.0];
        let same: (&str, &[f64], &[f64]) = ("same", &STEADY, &STEADY);
        let unclear: (&str, &[f64], &[f64]) = ("unclear", &STEADY, &wild);
        let missing: (&str, &[f64], &[f64]) = ("missing", &STEADY, &[]);
        let fast: (&str, &[f64], &[f64]) = ("faster", &STEADY, &faster);
        let slow: (&str, &[f64], &[f64]) = ("slower", &STEADY, &slower);
        assert_eq!(comparison(&[same, fast]).exit_code(false), 0);
        assert_eq!(comparison(&[same, unclear]).exit_code(false), 3);
        assert_eq!(comparison(&[same, unclear, missing]).exit_code(false), 2);
        assert_eq!(comparison(&[same, unclear, missing]).exit_code(true), 3);
        assert_eq!(comparison(&[same, missing]).exit_code(true), 0);
        assert_eq!(comparison(&[slow, missing, unclear]).exit_code(false), 1);
    }

    #[test]
    fn sides_of_two_sessions_and_peers_get_no_verdict() {
        let slower = times(1.5);
        let rows: [(&str, &[f64], &[f64]); 2] =
            [("pair/list/16", &STEADY, &slower), ("pair/system/16", &STEADY, &slower)];
        let together = comparison(&rows);
        let verdicts = |of: &Comparison| of.rows.iter().map(|row| row.verdict).collect::<Vec<_>>();
        assert_eq!(verdicts(&together), [Verdict::Slower, Verdict::Peer]);
        let Comparison { a, mut b, threshold, .. } = together;
        b.record.session.seed += 1;
        let apart = Comparison::new(a, b, None, threshold).unwrap();
        assert_eq!(verdicts(&apart), [Verdict::Apart, Verdict::Peer]);
        assert_eq!(apart.exit_code(false), 3);
    }

    /// Elements set to 1 and times halved is half the work, not twice the speed.
    #[test]
    fn times_are_of_the_same_amount_of_work() {
        let halved = times(0.5);
        let Comparison { mut a, mut b, threshold, .. } = comparison(&[("x/y/z", &STEADY, &halved)]);
        let elements = |side: &mut Side, elements: u64| {
            for process in &mut side.record.processes {
                for samples in process.benchmarks.values_mut() {
                    samples.throughput = Some(serde_json::json!({ "Elements": elements }));
                }
            }
        };
        elements(&mut a, 2);
        elements(&mut b, 1);
        let same = Comparison::new(a.clone(), b.clone(), None, threshold).unwrap();
        assert_eq!(same.rows[0].verdict, Verdict::Same);
        elements(&mut b, 2);
        let faster = Comparison::new(a, b, None, threshold).unwrap();
        assert_eq!(faster.rows[0].verdict, Verdict::Faster);
    }

    #[test]
    fn nothing_in_common_fails_even_if_missing_is_allowed() {
        let comparison = comparison(&[("old", &STEADY, &[]), ("new", &[], &STEADY)]);
        let verdicts: Vec<Verdict> = comparison.rows.iter().map(|row| row.verdict).collect();
        assert_eq!(verdicts, [Verdict::MissingInA, Verdict::MissingInB]);
        assert_eq!(comparison.exit_code(true), 2);
    }

    #[test]
    fn a_benchmark_some_processes_lack_counts_those_that_have_it() {
        let comparison = comparison(&[("all", &STEADY, &STEADY), ("some", &STEADY, &STEADY[..3])]);
        assert_eq!(comparison.rows[1].processes, [5, 3]);
        assert_eq!(comparison.count(Verdict::NoInterval), 0, "5 against 3 has an interval");
    }

    #[test]
    fn a_filter_chooses_rows_and_must_choose_one() {
        let side = |name: &str| Side {
            name: name.to_owned(),
            record: record("c0ffee", &[("pair/list/16", &[1.0]), ("ring/list/16", &[1.0])]),
        };
        let compare = |filter: &str| {
            let filter = Regex::new(filter).unwrap();
            Comparison::new(side("a"), side("b"), Some(&filter), Threshold { percent: 5.0 })
        };
        assert_eq!(compare("^pair").unwrap().rows.len(), 1);
        assert_eq!(compare("list").unwrap().rows.len(), 2);
        assert!(compare("mimalloc").is_err());
    }

    #[test]
    fn chance_is_counted_over_all_intervals() {
        let rows: [(&str, &[f64], &[f64]); 3] =
            [("a", &STEADY, &STEADY), ("b", &STEADY, &STEADY), ("c", &STEADY, &STEADY[..1])];
        let misses = comparison(&rows).expected_misses();
        assert!((misses - 2.0 * 8.0 / 252.0).abs() < 1e-12, "{misses}");
    }

    proptest! {
        /// Times in another unit, on both sides, change no verdict and no interval.
        #[test]
        fn the_unit_does_not_matter(
            a in prop::collection::vec(1.0..1e6f64, 5),
            b in prop::collection::vec(1.0..1e6f64, 5),
            unit in 0.001..1000.0f64,
        ) {
            let scaled = |times: &[f64]| times.iter().map(|time| time * unit).collect::<Vec<_>>();
            let before = comparison(&[("x/y/z", &a, &b)]).rows[0].change.unwrap();
            let after =
                comparison(&[("x/y/z", &scaled(&a), &scaled(&b))]).rows[0].change.unwrap();
            prop_assert!((before.estimate - after.estimate).abs() < 1e-9);
            let (before, after) = (before.interval.unwrap(), after.interval.unwrap());
            prop_assert!((before.low - after.low).abs() < 1e-9);
            prop_assert!((before.high - after.high).abs() < 1e-9);
        }
    }
}

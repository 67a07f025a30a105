//! What `cargo stress bench` measured.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

/// The versions that are read: in the first, allocators are `subjects`.
const VERSIONS: [u64; 2] = [1, 2];

/// A report of the suite.
#[derive(Debug, Deserialize)]
pub struct Bench {
    /// How often each row was measured.
    pub rounds: u32,
    /// Whether the rows were short: then the figures say nothing.
    pub quick: bool,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// Who was measured.
    #[serde(alias = "subjects")]
    pub allocators: Vec<Allocator>,
    /// Whom ratios are to.
    pub against: String,
    /// KiB that a peak counts as at least, in the means: below that the machine's grain decides.
    #[serde(default)]
    pub smallest_peak: f64,
    /// What was measured.
    pub rows: Vec<Row>,
}

/// Who was measured.
#[derive(Debug, Deserialize)]
pub struct Allocator {
    /// As it is printed.
    pub name: String,
    /// As whoever built it says.
    #[serde(default)]
    pub version: String,
}

/// A row of the suite.
#[derive(Debug, Deserialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Whether the suite's means are over it.
    #[serde(default = "yes")]
    pub in_the_means: bool,
    /// Threads that allocate or free in it, where the report says.
    #[serde(default)]
    pub threads: Option<u32>,
    /// A figure of each allocator, in their order.
    #[serde(alias = "subjects")]
    pub allocators: Vec<Cell>,
}

/// The figures of an allocator in a row.
#[derive(Debug, Deserialize)]
pub struct Cell {
    /// Nanoseconds of a call: the median over the rounds.
    pub nanoseconds: Option<f64>,
    /// The largest resident set above the driver's own, KiB.
    pub peak_above_floor: Option<f64>,
    /// How long calls took, by their kind.
    #[serde(default)]
    pub latency: BTreeMap<String, Percentiles>,
    /// Resident bytes for each live one, at the most.
    #[serde(default)]
    pub fragmentation: Option<f64>,
    /// The rounds.
    #[serde(default)]
    pub samples: Vec<Sample>,
}

/// How long calls of a kind took, nanoseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Percentiles {
    /// The median.
    pub p50: f64,
    /// Of a hundred calls one takes longer, and so on; none of too few calls.
    #[serde(default)]
    pub p99: Option<f64>,
    /// Of a thousand.
    #[serde(default)]
    pub p99_9: Option<f64>,
    /// Of ten thousand.
    #[serde(default)]
    pub p99_99: Option<f64>,
    /// The longest.
    pub max: f64,
}

/// A round.
#[derive(Debug, Deserialize)]
pub struct Sample {
    nanoseconds: f64,
}

fn yes() -> bool {
    true
}

/// A mean of ratios, and how many rows it is of: of fewer than all, where one has no figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// The mean.
    pub ratio: f64,
    /// How many rows.
    pub rows: usize,
}

impl Bench {
    /// Reads a report.
    ///
    /// # Errors
    /// If it is of another version, or its rows and allocators do not fit.
    pub fn read(value: Value) -> Result<Self> {
        let version = &value["version"];
        ensure!(
            VERSIONS.iter().any(|read| *version == *read),
            "is a benchmark report of version {version}, and this program reads {} and {}: make it \
             with the same commit",
            VERSIONS[0],
            VERSIONS[1]
        );
        let bench: Self = serde_json::from_value(value).context("is no whole benchmark report")?;
        for row in &bench.rows {
            ensure!(
                row.allocators.len() == bench.allocators.len(),
                "row {} has {} figures of {} allocators",
                row.name,
                row.allocators.len(),
                bench.allocators.len()
            );
        }
        Ok(bench)
    }

    /// The rows that the suite's means are over.
    pub fn rows_in_the_means(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.in_the_means)
    }

    /// The geometric mean of a figure's ratios to that of the allocator that ratios are to, over
    /// the rows of the means that have both and are `wanted`.
    pub fn mean(
        &self,
        allocator: usize,
        figure: impl Fn(&Cell) -> Option<f64>,
        wanted: impl Fn(&Row) -> bool,
    ) -> Option<Mean> {
        let against = self.allocators.iter().position(|one| one.name == self.against)?;
        let ratio = |row: &Row| {
            let [one, other] = [allocator, against].map(|place| figure(&row.allocators[place]));
            let ratio = one? / other?;
            (ratio.is_finite() && ratio > 0.0).then_some(ratio)
        };
        let rows = self.rows_in_the_means().filter(|row| wanted(row));
        let ratios: Vec<f64> = rows.filter_map(ratio).collect();
        let sum: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
        let (rows, mean) = (ratios.len(), (sum / ratios.len() as f64).exp());
        (rows > 0).then_some(Mean { ratio: mean, rows })
    }
}

impl Cell {
    /// Nanoseconds of a call.
    pub fn time(&self) -> Option<f64> {
        self.nanoseconds.filter(|time| *time > 0.0)
    }

    /// Of a thousand calls of `malloc` one takes longer, nanoseconds.
    pub fn tail(&self) -> Option<f64> {
        self.latency.get("malloc").and_then(|latency| latency.p99_9)
    }

    /// An interval that holds the true median of the rounds, and with which probability: the
    /// narrowest between two of them that has 95 %, or the widest there is. It assumes only that
    /// rounds are independent: each lies below the median with a probability of a half.
    pub fn interval(&self) -> Option<([f64; 2], f64)> {
        let mut times: Vec<f64> = self.samples.iter().map(|sample| sample.nanoseconds).collect();
        times.retain(|time| *time > 0.0);
        times.sort_by(f64::total_cmp);
        let n = times.len();
        if n < 2 {
            return None;
        }
        // All below, or all above, by up to `cut` exceptions on either side.
        let outside = |cut: usize| {
            let mut ways = 1.0;
            let mut sum = 0.0;
            for k in 0..=cut {
                sum += ways;
                ways *= (n - k) as f64 / (k + 1) as f64;
            }
            2.0 * sum / 2f64.powi(n as i32)
        };
        let cut = (0..n / 2).take_while(|cut| outside(*cut) <= 0.05).last().unwrap_or(0);
        Some(([times[cut], times[n - 1 - cut]], 1.0 - outside(cut)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(times: &[f64]) -> Cell {
        let samples: Vec<Value> =
            times.iter().map(|time| serde_json::json!({"nanoseconds": time})).collect();
        serde_json::from_value(serde_json::json!({"nanoseconds": times[0], "samples": samples}))
            .unwrap()
    }

    #[test]
    fn a_report_of_before_is_read_and_one_of_another_version_is_not() {
        let row = |cells: &str| serde_json::json!({"name": "ring", cells: [{"nanoseconds": 1.5}]});
        let report = |version: u64, names: &str| {
            Bench::read(serde_json::json!({"version": version, "rounds": 3, "quick": false,
                "interrupted": false, names: [{"name": "list"}], "against": "list",
                "rows": [row(names)]}))
        };
        for (version, names) in [(1, "subjects"), (2, "allocators")] {
            let bench = report(version, names).unwrap();
            assert_eq!(bench.allocators[0].name, "list", "{names}");
            assert_eq!(bench.rows[0].allocators[0].time(), Some(1.5), "{names}");
        }
        let why = report(3, "allocators").unwrap_err().to_string();
        assert!(why.contains("of version 3, and this program reads 1 and 2"), "{why}");
    }

    /// The limits are those of Conover's table of the binomial distribution at a half: of 7 values
    /// the least and the greatest (98.4 %), of 15 the fourth from either end (96.5 %).
    #[test]
    fn an_interval_is_the_narrowest_that_has_its_probability() {
        let seven: Vec<f64> = (1..=7).map(f64::from).collect();
        let (ends, holds) = cell(&seven).interval().unwrap();
        assert_eq!(ends, [1.0, 7.0]);
        assert!((holds - 0.984_375).abs() < 1e-12, "{holds}");
        let fifteen: Vec<f64> = (1..=15).map(f64::from).collect();
        let (ends, holds) = cell(&fifteen).interval().unwrap();
        assert_eq!(ends, [4.0, 12.0]);
        assert!((holds - 0.964_844).abs() < 1e-6, "{holds}");
        let (_, three) = cell(&[1.0, 2.0, 3.0]).interval().unwrap();
        assert_eq!(three, 0.75);
        assert!(cell(&[1.0]).interval().is_none());
    }
}

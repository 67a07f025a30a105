//! The command line of `record` and `records`: what can be typed, and what each value must look
//! like. Values are checked here, so that the rest of the program meets only good ones.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use drystone_workloads::cli::duration;

use crate::output::{Color, Format};
use crate::records::record::Settings;

/// How the benchmarks are measured; shared by both subcommands.
#[derive(Clone, Debug, Args)]
pub struct MeasureArguments {
    /// Processes per side; below 4 there is no 95 % interval.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = runs)]
    pub runs: usize,

    /// How long each benchmark warms up in each process: 200ms, 2s [default: 200ms].
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub warm_up: Option<Duration>,

    /// How long each benchmark is measured in each process, likewise [default: 500ms].
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub measurement: Option<Duration>,

    /// Samples criterion takes of each benchmark in each process [default: 20].
    #[arg(long, value_name = "N", value_parser = samples)]
    pub samples: Option<usize>,
}

impl MeasureArguments {
    /// `base`, with what the command line says put over it.
    pub fn settings(&self, base: &Settings) -> Settings {
        let milliseconds = |time: Duration| time.as_millis() as u64;
        Settings {
            warm_up_ms: self.warm_up.map_or(base.warm_up_ms, milliseconds),
            measurement_ms: self.measurement.map_or(base.measurement_ms, milliseconds),
            samples: self.samples.unwrap_or(base.samples),
            resamples: base.resamples,
        }
    }
}

/// `results record`.
#[derive(Debug, Args)]
pub struct RecordArguments {
    /// Only benchmarks whose id (`group/allocator/parameter`) matches this regular expression.
    #[arg(value_parser = filter)]
    pub filter: Option<String>,

    /// How to measure.
    #[command(flatten)]
    pub measure: MeasureArguments,

    /// Write the record here instead of into `results/store`.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `results records`.
#[derive(Debug, Args)]
pub struct CompareArguments {
    /// The side to compare from: a commit, branch or tag, or a record file.
    pub a: String,

    /// The side to compare to: a commit, branch or tag, or a record file.
    pub b: String,

    /// Only benchmarks whose id (`group/allocator/parameter`) matches this regular expression.
    #[arg(value_parser = filter)]
    pub filter: Option<String>,

    /// How to measure a side without a record.
    #[command(flatten)]
    pub measure: MeasureArguments,

    /// Measure both commits anew, even if both have records.
    #[arg(long)]
    pub fresh: bool,

    /// Seed of the order in which the two sides' processes run [default: drawn and printed].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Compare records of different machines.
    #[arg(long)]
    pub any_machine: bool,

    /// Show a benchmark that only one side has, but do not fail because of it.
    #[arg(long)]
    pub allow_missing: bool,

    /// Changes up to this many percent of time per iteration count as none.
    // Negative numbers are let through to `percent`, whose rejection says more than clap's.
    #[arg(
        long,
        value_name = "PCT",
        default_value = "5",
        value_parser = percent,
        allow_negative_numbers = true
    )]
    pub threshold: f64,

    /// How to print the comparison.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,

    /// When to colour the table; `auto` colours on a terminal unless NO_COLOR is set.
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
}

/// A time in the grammar of all tools. Bounded, because a warm-up of minutes would measure for
/// hours.
fn time(text: &str) -> Result<Duration> {
    let (least, most) = (Duration::from_millis(1), Duration::from_secs(30));
    let given = duration::parse(text)?;
    ensure!((least..=most).contains(&given), "give between 1ms and 30s");
    Ok(given)
}

fn runs(text: &str) -> std::result::Result<usize, String> {
    bounded(text, 1, 100, "processes")
}

fn samples(text: &str) -> std::result::Result<usize, String> {
    // Ten is criterion's own lower bound.
    bounded(text, 10, 10_000, "samples")
}

fn bounded(text: &str, low: usize, high: usize, what: &str) -> std::result::Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| (low..=high).contains(number))
        .ok_or_else(|| format!("give between {low} and {high} {what}"))
}

fn percent(text: &str) -> std::result::Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end();
    let percent: f64 = number.parse().map_err(|_| "give a percentage, such as 5".to_owned())?;
    if (0.0..=1000.0).contains(&percent) {
        Ok(percent)
    } else {
        Err("give between 0 and 1000 percent".to_owned())
    }
}

fn filter(text: &str) -> std::result::Result<String, String> {
    if text.is_empty() || text.starts_with('-') {
        // Criterion would read it as one of its own options.
        return Err("a filter must not be empty nor begin with `-`".to_owned());
    }
    match regex::Regex::new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("not a regular expression: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked() {
        assert_eq!(runs("5"), Ok(5));
        assert!(runs("0").is_err() && runs("101").is_err() && samples("9").is_err());
        assert_eq!(percent("5 %"), Ok(5.0));
        assert!(percent("-1").is_err() && percent("inf").is_err());
        assert!(filter("list|system").is_ok() && filter("(").is_err() && filter("-x").is_err());
    }

    #[test]
    fn times_have_a_unit_and_bounds() {
        for (text, milliseconds) in [("250ms", 250), ("2s", 2000), ("0.25s", 250), ("1ms", 1)] {
            assert_eq!(time(text).unwrap().as_millis(), milliseconds, "{text}");
        }
        // A number without a unit was seconds once.
        for text in ["0.25", "0", "NaN", "200"] {
            let why = time(text).unwrap_err().to_string();
            assert!(why.contains("is no duration: write 500ms"), "{text}: {why}");
        }
        for text in ["1m", "30001ms", "999us"] {
            assert_eq!(time(text).unwrap_err().to_string(), "give between 1ms and 30s", "{text}");
        }
    }

    #[test]
    fn settings_of_the_command_line_lie_over_the_base() {
        let arguments = MeasureArguments {
            runs: 5,
            warm_up: None,
            measurement: Some(Duration::from_millis(7)),
            samples: None,
        };
        let base = Settings { warm_up_ms: 1, measurement_ms: 2, samples: 30, resamples: 4 };
        let settings = arguments.settings(&base);
        assert_eq!(settings, Settings { measurement_ms: 7, ..base });
    }
}

//! The command line of `record` and `records`: what can be typed, and what each value must look
//! like. Values are checked here, so that the rest of the program meets only good ones.

use std::path::PathBuf;

use clap::Args;

use crate::output::{Color, Format};
use crate::records::record::Settings;

/// How the benchmarks are measured; shared by both subcommands.
#[derive(Clone, Debug, Args)]
pub struct MeasureArguments {
    /// Processes per side; below 4 there is no 95 % interval.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = runs)]
    pub runs: usize,

    /// How long each benchmark warms up in each process, in seconds or with a unit [default:
    /// 200ms].
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    pub warm_up: Option<Milliseconds>,

    /// How long each benchmark is measured in each process, likewise [default: 500ms].
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    pub measurement: Option<Milliseconds>,

    /// Samples criterion takes of each benchmark in each process [default: 20].
    #[arg(long, value_name = "N", value_parser = samples)]
    pub samples: Option<usize>,
}

impl MeasureArguments {
    /// `base`, with what the command line says put over it.
    pub fn settings(&self, base: &Settings) -> Settings {
        Settings {
            warm_up_ms: self.warm_up.map_or(base.warm_up_ms, |time| time.0),
            measurement_ms: self.measurement.map_or(base.measurement_ms, |time| time.0),
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

/// A time in milliseconds, at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Milliseconds(pub u64);

/// A time such as `0.2`, `0.2s` or `200ms`. Bounded, because a number of milliseconds taken for
/// seconds would measure for hours.
fn milliseconds(text: &str) -> Result<Milliseconds, String> {
    let (number, scale) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 1.0),
        (None, Some(number)) => (number, 1000.0),
        (None, None) => (text, 1000.0),
    };
    let time: f64 = number.trim().parse().map_err(|_| "give a time, such as 0.2 or 200ms")?;
    let time = time * scale;
    if (1.0..=30_000.0).contains(&time) {
        Ok(Milliseconds(time.round() as u64))
    } else {
        Err("give between 1ms and 30 seconds; a number without a unit is seconds".to_owned())
    }
}

fn runs(text: &str) -> Result<usize, String> {
    bounded(text, 1, 100, "processes")
}

fn samples(text: &str) -> Result<usize, String> {
    // Ten is criterion's own lower bound.
    bounded(text, 10, 10_000, "samples")
}

fn bounded(text: &str, low: usize, high: usize, what: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| (low..=high).contains(number))
        .ok_or_else(|| format!("give between {low} and {high} {what}"))
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end();
    let percent: f64 = number.parse().map_err(|_| "give a percentage, such as 5".to_owned())?;
    if (0.0..=1000.0).contains(&percent) {
        Ok(percent)
    } else {
        Err("give between 0 and 1000 percent".to_owned())
    }
}

fn filter(text: &str) -> Result<String, String> {
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
        assert_eq!(milliseconds("0.25"), Ok(Milliseconds(250)));
        assert_eq!(milliseconds("250ms"), Ok(Milliseconds(250)));
        assert_eq!(milliseconds("2 s"), Ok(Milliseconds(2000)));
        assert!(milliseconds("0").is_err() && milliseconds("NaN").is_err());
        assert!(milliseconds("200").is_err() && milliseconds("1m").is_err());
        assert_eq!(runs("5"), Ok(5));
        assert!(runs("0").is_err() && runs("101").is_err() && samples("9").is_err());
        assert_eq!(percent("5 %"), Ok(5.0));
        assert!(percent("-1").is_err() && percent("inf").is_err());
        assert!(filter("list|system").is_ok() && filter("(").is_err() && filter("-x").is_err());
    }

    #[test]
    fn settings_of_the_command_line_lie_over_the_base() {
        let arguments = MeasureArguments {
            runs: 5,
            warm_up: None,
            measurement: Some(Milliseconds(7)),
            samples: None,
        };
        let base = Settings { warm_up_ms: 1, measurement_ms: 2, samples: 30, resamples: 4 };
        let settings = arguments.settings(&base);
        assert_eq!(settings, Settings { measurement_ms: 7, ..base });
    }
}

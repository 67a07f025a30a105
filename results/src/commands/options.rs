//! What can be typed after `compare`, and what each value must look like.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::decide::{FailOn, Judged};
use crate::evidence::Lane;
use crate::output::{Color, Format};
use crate::report;

/// `results compare`.
#[derive(Clone, Debug, Args)]
pub struct CompareArguments {
    /// The side to compare from: a commit, branch, tag, folder, `.`, shared library or static
    /// archive [default: where the present commit left the main branch].
    pub a: Option<String>,

    /// The side to compare to, likewise [default: the working tree as it is].
    #[arg(default_value = ".")]
    pub b: String,

    /// How long to measure at most, such as 90s or 5m; builds come on top.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub budget: Duration,

    /// A change of time up to this many percent is no regression.
    #[arg(long, value_name = "PCT", default_value = "1", value_parser = percent)]
    pub floor: f64,

    /// `OK` means shown to lie within this many percent.
    #[arg(long, value_name = "PCT", default_value = "3", value_parser = percent)]
    pub margin: f64,

    /// The lanes to run [default: all].
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LANE,...")]
    pub lanes: Vec<Lane>,

    /// Only the rows whose names begin with one of these.
    #[arg(long, value_delimiter = ',', value_name = "ROW,...")]
    pub rows: Vec<String>,

    /// Measure even if both sides are identical.
    #[arg(long)]
    pub no_identical: bool,

    /// Instructions that grow by more than this many percent are a regression.
    #[arg(long, value_name = "PCT", value_parser = percent)]
    pub instructions: Option<f64>,

    /// What every random choice comes from, layouts included [default: drawn and printed].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// How to report.
    #[command(flatten)]
    pub report: ReportArguments,
}

/// How to report; shared by `compare` and `show`.
#[derive(Clone, Debug, Args)]
pub struct ReportArguments {
    /// What makes the exit code other than 0.
    #[arg(long, value_enum, default_value_t = FailOn::Any)]
    pub fail_on: FailOn,

    /// List rows that are fine too.
    #[arg(long)]
    pub all: bool,

    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,

    /// When to colour the table; `auto` colours on a terminal unless NO_COLOR is set.
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
}

impl ReportArguments {
    /// The report as it was asked for. `evidence` is the path of its file.
    pub fn text(&self, judged: &Judged, evidence: &str) -> String {
        match self.format {
            Format::Table => report::table(judged, self.color.is_on(), self.all),
            Format::Markdown => report::markdown(judged),
            Format::Json => report::json(judged, self.fail_on, evidence),
        }
    }
}

/// `results show`.
#[derive(Clone, Debug, Args)]
pub struct ShowArguments {
    /// Evidence files: one, or the shards of one comparison, which are judged together.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// How to report.
    #[command(flatten)]
    pub report: ReportArguments,
}

impl CompareArguments {
    /// The lanes that were asked for.
    pub fn lanes(&self) -> Vec<Lane> {
        let all = || Lane::ALL.to_vec();
        if self.lanes.is_empty() { all() } else { self.lanes.clone() }
    }
}

/// A time such as `90s`, `5m` or `1h`; a number alone is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let unit = units.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)));
    let (number, scale) = unit.unwrap_or((text, &1.0));
    let number: f64 = number.trim().parse().map_err(|_| "give a time, such as 90s or 5m")?;
    let seconds = number * scale;
    if (1.0..=86_400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("give between one second and a day".to_owned())
    }
}

/// Percent, as a fraction.
fn percent(text: &str) -> Result<f64, String> {
    let number: f64 = text
        .trim()
        .trim_end_matches('%')
        .trim_end()
        .parse()
        .map_err(|_| "give a percentage, such as 3")?;
    if (0.0..=1000.0).contains(&number) {
        Ok(number / 100.0)
    } else {
        Err("give between 0 and 1000 percent".to_owned())
    }
}

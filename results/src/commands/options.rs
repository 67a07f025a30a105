//! What can be typed after `compare`, and what each value must look like.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use drystone_workloads::cli::duration;

use crate::decide::{FailOn, Judged};
use crate::evidence::Lane;
use crate::output::{Color, Format, print};
use crate::report;
use crate::session::Wishes;

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
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = budget)]
    pub budget: Duration,

    /// A change of time up to this many percent is no regression.
    #[arg(long, value_name = "PCT", default_value = "1", value_parser = percent)]
    pub floor: f64,

    /// `OK` means shown to lie within this many percent.
    #[arg(long, value_name = "PCT", default_value = "3", value_parser = percent)]
    pub margin: f64,

    /// How a side is built: a file such as compare.toml [default: compare.toml in the present
    /// tree, at its root or in .config, else cargo].
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,

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

    /// Write a page to this file too: plots, and all that was measured.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// When to colour the table; `auto` colours on a terminal unless NO_COLOR is set.
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
}

impl ReportArguments {
    /// Looks, before anything is measured, whether the page can be written.
    ///
    /// # Errors
    /// If it can't.
    pub fn check(&self) -> Result<()> {
        let Some(path) = &self.html else { return Ok(()) };
        let shown = path.display();
        let folder = folder(path);
        ensure!(folder.is_dir(), "--html {shown}: there is no folder {}", folder.display());
        ensure!(!path.exists() || path.is_file(), "--html {shown}: it is there, and no plain file");
        tempfile::tempfile_in(folder).with_context(|| format!("--html {shown}: cannot write"))?;
        Ok(())
    }

    /// Prints the report, and writes the page if it was asked for. `evidence` is the path of its
    /// file.
    ///
    /// # Errors
    /// If stdout or the page cannot be written to.
    pub fn tell(&self, judged: &Judged, evidence: &str) -> Result<()> {
        if let Some(path) = &self.html {
            write_page(path, &report::html(judged, evidence))?;
        }
        print(&self.text(judged, evidence))
    }

    /// The report as it was asked for. `evidence` is the path of its file.
    fn text(&self, judged: &Judged, evidence: &str) -> String {
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

/// `results merge`.
#[derive(Clone, Debug, Args)]
pub struct MergeArguments {
    /// The shards' evidence files, each with a seed of its own.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// The file to write; it must not be there yet.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

/// `results bisect`.
#[derive(Clone, Debug, Args)]
pub struct BisectArguments {
    /// A commit at which the row was fast.
    pub good: String,

    /// A later one at which it is slow.
    pub bad: String,

    /// The row, by as much of its name as no other begins with.
    #[arg(long, value_name = "ROW")]
    pub row: String,

    /// How long a comparison may measure.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = budget)]
    pub budget: Duration,

    /// How a commit is built: a file such as compare.toml [default: as in `compare`].
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,

    /// What every random choice comes from [default: drawn].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// `results list`.
#[derive(Clone, Debug, Args)]
pub struct ListArguments {
    /// How many comparisons to list, the newest first.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub last: usize,
}

/// `results trend`.
#[derive(Clone, Debug, Args)]
pub struct TrendArguments {
    /// Evidence files whose A is one and the same archive or library.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Write a page with plots to this file too.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// `results site`.
#[derive(Clone, Debug, Args)]
pub struct SiteArguments {
    /// The folder that the pages go to: a new one, an empty one, or one that this command made.
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,

    /// What the pages tell of: evidence of `compare`, records of `cargo stress --record`, what
    /// `cargo stress bench` and `conform` printed with `--format json`, pages in Markdown.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `results calibrate`.
#[derive(Clone, Debug, Args)]
pub struct CalibrateArguments {
    /// The side that is compared with itself.
    #[arg(default_value = ".")]
    pub side: String,

    /// Processes to record, each with all rows.
    #[arg(long, value_name = "N", default_value_t = 300)]
    #[arg(value_parser = clap::value_parser!(u32).range(40..=10_000))]
    pub processes: u32,

    /// How long to record at most.
    #[arg(long, value_name = "TIME", default_value = "20m", value_parser = budget)]
    pub budget: Duration,

    /// The budget of the comparisons that the rates are of.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = budget)]
    pub for_budget: Duration,

    /// Only the rows whose names begin with one of these; then nothing is kept.
    #[arg(long, value_delimiter = ',', value_name = "ROW,...")]
    pub rows: Vec<String>,

    /// What every random choice comes from [default: drawn].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// `results selftest`.
#[derive(Clone, Debug, Args)]
pub struct SelftestArguments {
    /// The side whose copies are planted into; it must build to a static archive.
    #[arg(default_value = ".")]
    pub side: String,

    /// One round of the plants that are found within a minute.
    #[arg(long)]
    pub quick: bool,

    /// Only the plants whose names begin with one of these.
    #[arg(long, value_delimiter = ',', value_name = "PLANT,...")]
    pub plants: Vec<String>,

    /// Comparisons a plant.
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub rounds: u64,

    /// How long a comparison may measure.
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = budget)]
    pub budget: Duration,

    /// No live comparisons: 1,000 of processes drawn from this file of a side beside itself, as
    /// `calibrate` records it.
    #[arg(long, value_name = "FILE")]
    pub resample: Option<PathBuf>,

    /// What every random choice comes from [default: drawn].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

impl CompareArguments {
    /// What is asked for.
    pub fn wishes(&self) -> Wishes {
        let lanes = if self.lanes.is_empty() { Lane::ALL.to_vec() } else { self.lanes.clone() };
        Wishes {
            floor: self.floor,
            margin: self.margin,
            budget: self.budget,
            lanes,
            rows: self.rows.clone(),
            no_identical: self.no_identical,
            instructions: self.instructions,
            recipe: self.recipe.clone(),
            seed: self.seed,
            ..Wishes::default()
        }
    }
}

/// Writes a page, whole or not at all.
///
/// # Errors
/// If it can't be written.
pub fn write_page(path: &Path, page: &str) -> Result<()> {
    let shown = path.display();
    let file = tempfile::NamedTempFile::new_in(folder(path));
    let mut file = file.with_context(|| format!("cannot write {shown}"))?;
    file.write_all(page.as_bytes())?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.persist(path).with_context(|| format!("cannot write {shown}"))?;
    eprintln!("page: {shown}");
    Ok(())
}

/// The folder that a file is in.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A time between a second and a day, in the grammar of all tools.
fn budget(text: &str) -> Result<Duration> {
    let (least, most) = (Duration::from_secs(1), Duration::from_secs(86_400));
    let given = duration::parse(text)?;
    ensure!((least..=most).contains(&given), "give between one second and a day");
    Ok(given)
}

/// Percent, as a fraction.
fn percent(text: &str) -> std::result::Result<f64, String> {
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

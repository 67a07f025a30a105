//! The command line, and the plan that it asks for.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::Parser;
use drystone_checker::schedule::Rates;
use drystone_harness::library;
use drystone_harness::output::format::Printing;
use drystone_harness::seed::Seed;
use drystone_harness::text::{duration, suggest};

use crate::allocators::process::{self, AllocatorEntry};
use crate::findings::store;
use crate::model::runs::Plan;
use crate::model::shard::Shard;
use crate::model::spec::{self, Length, Settings, Spec, Workload};

/// Stress allocators: integrity of every byte, mutual exclusion, double frees under contention; by name also forks,
/// signals, ends of threads, libraries (--workload lifecycles), and programs with mistakes (--workload hostile).
///
/// Results go to standard output, progress to standard error. Exit codes: 0 no finding; 1 a finding,
/// kept in a folder where one can be written, and printed with the command that replays it; 2 wrong usage, a failure of the tool, or no work done;
/// 3 stopped before all runs had come to their end, and no finding so far.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo stress", bin_name = "cargo stress")]
#[command(after_help = "\
cargo stress replay FOLDER   makes a finding again
cargo stress shrink FOLDER   makes a finding smaller
cargo stress join RECORD...  joins the records of a campaign's shards
cargo stress refuse          refuses an allocator's calls to the OS
cargo stress bench           measures allocators
cargo stress cost            measures what the checker costs
cargo stress conform         checks what the standards ask of malloc
cargo stress programs        runs real programs with an allocator preloaded
Each has a --help of its own.")]
pub struct Options {
    /// How long in all: 90s, 30m, 8h, 1h30m [default: 60s; with --trace, each trace once]
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse)]
    pub time: Option<Duration>,

    /// Worker threads [default: twice the cores, 4 to 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub threads: Option<u16>,

    /// The seed of every random choice [default: drawn, and printed]
    #[arg(long, value_name = "SEED")]
    pub seed: Option<Seed>,

    /// An allocator: a name of --list, or the path of a shared library that defines malloc;
    /// repeatable [default: all of --list]
    #[arg(long = "subject", value_name = "NAME|FILE")]
    pub subjects: Vec<String>,

    /// Yield, or sleep up to 100 µs, before one operation in N, and at one place in N inside heaps that have a
    /// probe, wherever another thread could interfere; 0: never [default: 4096, and 512 inside]
    #[arg(long, value_name = "N")]
    pub disturb: Option<u32>,

    /// A workload of --list, and what to set of it; repeatable [default: mixed and duel]
    #[arg(long = "workload", value_name = "NAME[:PARAMETER=NUMBER,...]")]
    pub workloads: Vec<String>,

    /// A recorded trace to replay with every check; repeatable
    #[arg(long = "trace", value_name = "FILE")]
    pub traces: Vec<PathBuf>,

    /// How long an episode lasts: a process of its own, from a seed of its own
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "5s")]
    pub episode: Duration,

    /// How long a process must be watched before memory that grows while its live set does not is a finding
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "60s")]
    pub growth_after: Duration,

    /// Where findings are kept, a folder each
    #[arg(long, value_name = "DIR", default_value = store::DEFAULT)]
    pub findings: PathBuf,

    /// A file that lists subjects, workloads, threads and minutes: see stress/campaigns/ci.toml, docs/stress.md
    #[arg(long, value_name = "FILE", conflicts_with_all = ["time", "threads", "subjects", "workloads", "traces"])]
    pub campaign: Option<PathBuf>,

    /// Make part K of N of a campaign, from seeds that are its alone; all parts take the same --seed
    #[arg(long, value_name = "K/N", requires = "seed")]
    pub shard: Option<Shard>,

    /// Write down what is done while it is done, as lines of JSON in a new file: a watch over time, and what
    /// `cargo stress join` reads
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,

    /// List subjects and workloads, and stop
    #[arg(long)]
    pub list: bool,

    /// How the report is printed.
    #[command(flatten)]
    pub printing: Printing,
}

impl Options {
    /// The runs that these options ask for.
    ///
    /// # Errors
    /// A sentence that names what to change.
    pub fn plan(&self, known: &[AllocatorEntry]) -> Result<Plan, String> {
        let subjects = choose_subjects(&self.subjects, known)?;
        let works = self.chosen_works()?;
        let seed = self.seed.unwrap_or_else(Seed::random);
        let threads = self.threads.map_or_else(default_threads, usize::from);
        let per_subject = self.total() / u32::try_from(subjects.len()).unwrap_or(u32::MAX);
        let (mut runs, mut left_out) = (Vec::new(), Vec::new());
        for (subject, library) in &subjects {
            let goes_on = process::reports_and_goes_on(subject, library.as_deref());
            let (works, not): (Vec<&Work>, Vec<&Work>) =
                works.iter().partition(|work| goes_on || work.workload != Workload::Hostile);
            if !not.is_empty() && !self.subjects.is_empty() {
                return Err(process::not_for_misuse(subject));
            }
            left_out.extend(not.iter().map(|_| process::not_for_misuse(subject)));
            let parts: u32 = works.iter().map(|work| work.workload.weight()).sum();
            for Work { workload, settings, trace } in works {
                let length = match (workload, self.time) {
                    (Workload::Trace, None) => Length::Once,
                    _ => Length::of(per_subject * workload.weight() / parts),
                };
                runs.push(Spec {
                    allocator: subject.clone(),
                    library: library.clone(),
                    workload: *workload,
                    settings: settings.clone(),
                    threads,
                    seed: self.shard.map_or(seed, |shard| shard.seed(seed)),
                    length,
                    disturb: self.disturb.map_or(Rates::DEFAULT, Rates::one_in),
                    trace: trace.clone(),
                    suppressions: Vec::new(),
                });
            }
        }
        Ok(Plan { seed, shard: self.shard, threads, runs, left_out })
    }

    fn total(&self) -> Duration {
        self.time.unwrap_or(Duration::from_secs(60))
    }

    /// Workloads, each trace one of its own.
    fn chosen_works(&self) -> Result<Vec<Work>, String> {
        let mut chosen = Vec::new();
        for text in &self.workloads {
            chosen.push(spec::parse_workload(text)?);
        }
        if chosen.is_empty() {
            let default: &[Workload] = match self.traces.is_empty() {
                true => &[Workload::Mixed, Workload::Duel],
                false => &[Workload::Trace],
            };
            chosen = default.iter().map(|&workload| (workload, Settings::default())).collect();
        }
        let traces = chosen.iter().any(|(workload, _)| *workload == Workload::Trace);
        match (traces, self.traces.is_empty()) {
            (true, true) => {
                return Err(
                    "workload `trace` needs a recorded program: add --trace FILE".to_owned()
                );
            }
            (false, false) => {
                return Err("--trace is for workload `trace`: leave --workload out, or add \
                            --workload trace"
                    .to_owned());
            }
            _ => {}
        }
        let mut works = Vec::new();
        for (workload, settings) in chosen {
            let work = |trace| Work { workload, settings: settings.clone(), trace };
            match workload {
                Workload::Trace => works.extend(self.traces.iter().cloned().map(Some).map(work)),
                _ => works.push(work(None)),
            }
        }
        Ok(works)
    }
}

/// What a subject is to do.
struct Work {
    workload: Workload,
    settings: Settings,
    trace: Option<PathBuf>,
}

/// The subjects that are written so, all that are known if none is, and of those that are libraries the
/// canonical paths.
///
/// # Errors
/// A sentence that names what to change.
pub fn choose_subjects(
    chosen: &[String],
    known: &[AllocatorEntry],
) -> Result<Vec<(String, Option<PathBuf>)>, String> {
    if chosen.is_empty() {
        return Ok(known.iter().map(|subject| (subject.name.to_owned(), None)).collect());
    }
    let choose = |chosen: &String| {
        if library::is_path(chosen) {
            return Ok((chosen.clone(), Some(library::library(chosen)?)));
        }
        let names: Vec<&str> = known.iter().map(|subject| subject.name).collect();
        if names.contains(&chosen.as_str()) {
            return Ok((chosen.clone(), None));
        }
        Err(suggest::refuse("subject", chosen, &names) + ", or the path of a shared library")
    };
    chosen.iter().map(choose).collect()
}

/// More threads than cores, so that critical sections are interrupted in their middle.
pub fn default_threads() -> usize {
    thread::available_parallelism().map_or(4, |cores| (cores.get() * 2).clamp(4, 32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocators::{linked, process};

    fn plan(arguments: &[&str]) -> Result<Plan, String> {
        let arguments = [&["cargo stress"], arguments].concat();
        let options = Options::try_parse_from(arguments).map_err(|error| error.to_string())?;
        options.plan(&[linked::LIST, process::SYSTEM])
    }

    /// Allocator, workload and milliseconds of each run.
    fn runs(arguments: &[&str]) -> Vec<(String, &'static str, Option<u128>)> {
        let plan = plan(arguments).expect("these arguments are right");
        let run = |spec: &Spec| {
            let millis = spec.length.time().map(|time| time.as_millis());
            (spec.allocator.clone(), spec.workload.name(), millis)
        };
        plan.runs.iter().map(run).collect()
    }

    #[test]
    fn the_default_is_every_subject_and_a_minute_in_all() {
        let expected = [
            ("list", "mixed", 22_500),
            ("list", "duel", 7_500),
            ("system", "mixed", 22_500),
            ("system", "duel", 7_500),
        ];
        let expected = expected.map(|(name, work, millis)| (name.to_owned(), work, Some(millis)));
        assert_eq!(runs(&[]), expected);
    }

    #[test]
    fn time_is_shared_out_and_a_trace_without_time_runs_once() {
        let system = "system".to_owned();
        assert_eq!(
            runs(&["--subject", "system", "--workload", "duel", "--for", "30m"]),
            [(system.clone(), "duel", Some(1_800_000))]
        );
        assert_eq!(
            runs(&["--subject", "system", "--trace", "a", "--trace", "b"]),
            [(system.clone(), "trace", None), (system.clone(), "trace", None)]
        );
        assert_eq!(
            runs(&["--subject", "system", "--trace", "a", "--trace", "b", "--for", "10s"]),
            [(system.clone(), "trace", Some(5_000)), (system, "trace", Some(5_000))]
        );
    }

    #[test]
    fn every_run_has_the_seed_and_the_threads_that_were_asked_for() {
        let plan = plan(&["--seed", "0x2a", "--threads", "7"]).expect("these arguments are right");
        assert!(plan.runs.iter().all(|spec| spec.seed == Seed(42) && spec.threads == 7));
        assert_eq!((plan.seed, plan.threads), (Seed(42), 7));
    }
}

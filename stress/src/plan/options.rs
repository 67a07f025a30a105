//! The command line, and the plan that it asks for.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use drystone_checker::schedule::Rates;
use drystone_harness::allocators::{self, Allocator, Folders};
use drystone_harness::output::format::Printing;
use drystone_harness::seed::Seed;
use drystone_workloads::cli::duration;

use crate::allocators::process::{self, AllocatorEntry};
use crate::findings::store;
use crate::model::finding::Variable;
use crate::model::runs::Plan;
use crate::model::shard::Shard;
use crate::model::spec::{self, Length, Settings, Spec, Workload};
use crate::model::suppressions::Ignored;
use crate::plan::choose::choose;

/// Stress allocators: integrity of every byte, mutual exclusion, double frees under contention
///
/// On demand also forks, signals, ends of threads and libraries (--workload lifecycle), and
/// programs with mistakes (--workload misuse). Results go to standard output, progress to standard
/// error. Exit codes: 0 no finding; 1 a finding, kept in a folder where one can be written, and
/// printed with the command that replays it; 2 wrong usage, a failure of the tool, or no work done;
/// 3 stopped before all runs had come to their end, and no finding so far.
#[derive(Clone, Debug, Args)]
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

    /// An allocator: a name of --list, a shared library that defines malloc, or a library under a
    /// name of your own; repeatable [default: all that are linked in, and system]
    #[arg(long = "allocator", alias = allocators::OLD_OPTION, value_name = allocators::VALUE)]
    pub allocators: Vec<String>,

    /// Yield, or sleep up to 100 µs, before one operation in N, and at one place in N inside heaps
    /// that have a probe, where another thread could interfere; 0: never [default: 4096, and 512
    /// inside]
    #[arg(long, value_name = "N")]
    pub disturb: Option<u32>,

    /// A workload of --list, with parameters; repeatable [default: one after the other, all that
    /// have found a planted fault which the others do not]
    #[arg(long = "workload", value_name = "NAME[:PARAMETER=NUMBER,...]")]
    pub workloads: Vec<String>,

    /// A recorded trace to replay with every check; repeatable
    #[arg(long = "trace", value_name = "FILE")]
    pub traces: Vec<PathBuf>,

    /// How long an episode lasts: a process of its own, from a seed of its own
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "5s")]
    pub episode: Duration,

    /// How long a process must be watched before memory that grows while its live set does not is a
    /// finding
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "60s")]
    pub growth_after: Duration,

    /// A call that takes so long hangs: of its thread's own time, so that a busy machine is no
    /// finding
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "5s")]
    pub deadline: Duration,

    /// A variable of the environment for every allocator; repeatable
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = Variable::parse)]
    pub environment: Vec<Variable>,

    /// Count a finding and go on: misaligned, or errno:free for one call's only; repeatable
    #[arg(long, value_name = "KIND[:CALL]", value_parser = Ignored::parse)]
    pub suppress: Vec<Ignored>,

    /// Stop at the first finding; else every run goes on and looks for others
    #[arg(long)]
    pub first: bool,

    /// Where findings are kept, a folder each
    #[arg(long, value_name = "DIR", default_value = store::DEFAULT)]
    pub findings: PathBuf,

    /// A file that lists allocators, workloads, threads and minutes: see stress/campaigns/ci.toml,
    /// docs/stress.md
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["time", "threads", "allocators", "workloads", "traces"])]
    pub campaign: Option<PathBuf>,

    /// Run part K of N of a campaign, from seeds of its own; all parts take the same --seed
    #[arg(long, value_name = "K/N", requires = "seed")]
    pub shard: Option<Shard>,

    /// Write a record of the run while it runs, as lines of JSON in a new file, which cargo stress
    /// join reads
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,

    /// Write the outcome into this file too, as JUnit XML: a test for each run
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,

    /// List allocators and workloads, and stop
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
    pub fn plan(&self, linked: &[AllocatorEntry], folders: &Folders) -> Result<Plan> {
        let allocators = choose(&self.allocators, linked, folders)?;
        let works = self.chosen_works()?;
        let seed = self.seed.unwrap_or_else(Seed::random);
        let threads = self.threads.map_or_else(default_threads, usize::from);
        let each = self.total() / u32::try_from(allocators.len()).unwrap_or(u32::MAX);
        let (mut runs, mut left_out) = (Vec::new(), Vec::new());
        let by_default = self.workloads.is_empty() && self.traces.is_empty();
        for Allocator { name, library, .. } in &allocators {
            let goes_on = process::reports_and_goes_on(name, library.as_deref());
            let (works, not): (Vec<&Work>, Vec<&Work>) =
                works.iter().partition(|work| goes_on || work.workload != Workload::Misuse);
            // Of the default that an allocator can't do nobody need be told.
            if !self.workloads.is_empty() {
                if !not.is_empty() && !self.allocators.is_empty() {
                    bail!(process::not_for_misuse(name));
                }
                left_out.extend(not.iter().map(|_| process::not_for_misuse(name)));
            }
            let quarantined = Work {
                environment: vec![Variable {
                    name: "DRYSTONE_QUARANTINE".to_owned(),
                    value: "256K".to_owned(),
                }],
                ..Work::of(Workload::Lifecycle)
            };
            let mut works = works;
            if by_default && library.is_some() && goes_on {
                works.push(&quarantined);
            }
            let parts: u32 = works.iter().map(|work| work.workload.weight()).sum();
            for Work { workload, settings, trace, environment } in works {
                let length = match (workload, self.time) {
                    (Workload::Trace, None) => Length::Once,
                    _ => Length::of(each * workload.weight() / parts),
                };
                runs.push(Spec {
                    allocator: name.clone(),
                    library: library.clone(),
                    workload: *workload,
                    settings: settings.clone(),
                    threads,
                    seed: self.shard.map_or(seed, |shard| shard.seed(seed)),
                    length,
                    disturb: self.disturb.map_or(Rates::DEFAULT, Rates::one_in),
                    trace: trace.clone(),
                    suppressions: Vec::new(),
                    environment: [&self.environment[..], environment].concat(),
                    ignored: self.suppress.clone(),
                });
            }
        }
        Ok(Plan { seed, shard: self.shard, threads, runs, left_out })
    }

    fn total(&self) -> Duration {
        self.time.unwrap_or(Duration::from_secs(60))
    }

    /// Workloads, each trace one of its own.
    fn chosen_works(&self) -> Result<Vec<Work>> {
        let mut chosen = Vec::new();
        for text in &self.workloads {
            chosen.push(spec::parse_workload(text)?);
        }
        if chosen.is_empty() {
            let default: &[Workload] = match self.traces.is_empty() {
                true => DEFAULT,
                false => &[Workload::Trace],
            };
            chosen = default.iter().map(|&workload| (workload, Settings::default())).collect();
        }
        let traces = chosen.iter().any(|(workload, _)| *workload == Workload::Trace);
        match (traces, self.traces.is_empty()) {
            (true, true) => {
                bail!("workload `trace` needs a recorded program: add --trace FILE")
            }
            (false, false) => {
                bail!(
                    "--trace is for workload `trace`: leave --workload out, or add --workload trace"
                )
            }
            _ => {}
        }
        let mut works = Vec::new();
        for (workload, settings) in chosen {
            let work = |trace| Work { settings: settings.clone(), trace, ..Work::of(workload) };
            match workload {
                Workload::Trace => works.extend(self.traces.iter().cloned().map(Some).map(work)),
                _ => works.push(work(None)),
            }
        }
        Ok(works)
    }
}

/// What is run if nothing is said: each has found a planted fault that the others do not, or find
/// later.
const DEFAULT: &[Workload] = &[
    Workload::Mixed,
    Workload::Pairs,
    Workload::Churn,
    Workload::Handoff,
    Workload::DoubleFree,
    Workload::Misuse,
    Workload::Lifecycle,
    Workload::Drain,
    Workload::Steady,
    Workload::Exits,
    Workload::ThreadStorm,
    Workload::ForkJoin,
    Workload::ReallocStorm,
    Workload::Large,
];

/// What an allocator is to do.
struct Work {
    workload: Workload,
    settings: Settings,
    trace: Option<PathBuf>,
    environment: Vec<Variable>,
}

impl Work {
    fn of(workload: Workload) -> Self {
        Self { workload, settings: Settings::default(), trace: None, environment: Vec::new() }
    }
}

/// More threads than cores, so that critical sections are interrupted in their middle.
pub fn default_threads() -> usize {
    thread::available_parallelism().map_or(4, |cores| (cores.get() * 2).clamp(4, 32))
}

#[cfg(test)]
mod tests {
    use drystone_harness::fixtures;

    use super::*;
    use crate::allocators::{linked, process};

    fn plan(arguments: &[&str]) -> Result<Plan> {
        let parsed = fixtures::options::<Options>(arguments)?;
        parsed.plan(&[linked::LIST, process::SYSTEM], &fixtures::no_libraries())
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
    fn the_default_is_every_allocator_and_a_minute_in_all() {
        let runs = runs(&[]);
        for name in ["linked:list", "system"] {
            let own: Vec<_> = runs.iter().filter(|(allocator, ..)| allocator == name).collect();
            let works: Vec<&str> = own.iter().map(|(_, work, _)| *work).collect();
            let all = DEFAULT.iter().map(|work| work.name());
            let expected = all.filter(|work| name != "system" || *work != "misuse");
            assert_eq!(works, expected.collect::<Vec<_>>());
            let millis: u128 = own.iter().filter_map(|(.., millis)| *millis).sum();
            assert!((29_900..=30_000).contains(&millis), "{millis}");
        }
    }

    #[test]
    fn time_is_shared_out_and_a_trace_without_time_runs_once() {
        let system = "system".to_owned();
        assert_eq!(
            runs(&["--allocator", "system", "--workload", "double-free", "--for", "30m"]),
            [(system.clone(), "double-free", Some(1_800_000))]
        );
        assert_eq!(
            runs(&["--allocator", "system", "--trace", "a", "--trace", "b"]),
            [(system.clone(), "trace", None), (system.clone(), "trace", None)]
        );
        assert_eq!(
            runs(&["--allocator", "system", "--trace", "a", "--trace", "b", "--for", "10s"]),
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

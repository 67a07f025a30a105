//! One fault, hunted as a user would: the tool's own binary, with the fault named in its
//! environment.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use drystone_checker::violation::Kind;
use drystone_harness::exit;
use drystone_harness::process::launcher;
use drystone_harness::seed::Seed;
use serde_json::Value;
use tempfile::TempDir;

use crate::cmd::zoo::faults::Fault;
use crate::cmd::zoo::options::Options;
use crate::cmd::zoo::plant::{Libraries, VARIABLE};

/// Who hunts.
pub(super) struct Hunt {
    program: PathBuf,
    libraries: Libraries,
    time: Duration,
    quick: bool,
    /// Where findings are kept until they are replayed.
    findings: TempDir,
}

/// What came of one hunt.
#[derive(Clone, Debug)]
pub(super) struct Caught {
    /// Who found it: a workload, or `conform`; nobody.
    pub by: Option<String>,
    /// The kind of the finding.
    pub kind: String,
    /// From the start of the run to the finding, or to its end.
    pub took: Duration,
    /// Whether the kind is one that names it.
    pub named: bool,
    /// Whether a replay found it again; none if that was not tried.
    pub replays: Option<bool>,
}

impl fmt::Display for Caught {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        match &self.by {
            Some(by) => write!(f, "{} by {by} after {seconds:.1} s", self.kind),
            None => write!(f, "not found in {seconds:.0} s"),
        }
    }
}

impl Caught {
    /// With the answer whether its kind is one that names the fault.
    fn judged(mut self, fault: &Fault) -> Self {
        self.named |= fault.named.contains(&self.kind);
        self
    }
}

/// With which quarantines the conformance suite is run: without, and with room for its blocks.
const QUARANTINES: [&str; 2] = ["0", "16M"];

impl Hunt {
    /// A hunt in these libraries.
    ///
    /// # Errors
    /// The OS gives no folder, or does not say which binary this is.
    pub(super) fn new(options: &Options, libraries: Libraries) -> Result<Self> {
        let program = launcher::this_binary()?;
        let findings = tempfile::tempdir().context("a folder for findings")?;
        Ok(Self { program, libraries, time: options.time, quick: options.quick, findings })
    }

    /// Hunts one fault.
    ///
    /// # Errors
    /// The tool can't be started, or fails.
    pub(super) fn one(&self, fault: &Fault, seed: Seed) -> Result<Caught> {
        let mut caught = self.stress(fault, seed, self.time)?;
        // What the suite asks of the list's library is more than it promises.
        if caught.by.is_none() && !self.quick && !fault.is_of_the_list() {
            let began = Instant::now();
            for quarantine in QUARANTINES {
                if caught.by.is_none() && self.conform_finds(fault, quarantine)? {
                    caught.by = Some("conform".to_owned());
                    caught.kind = "a row".to_owned();
                    caught.named = true;
                }
            }
            caught.took += began.elapsed();
        }
        Ok(caught.judged(fault))
    }

    /// Hunts it once more, for twice as long: a sample of short hunts on a busy machine is not to
    /// call missed what a user would find.
    ///
    /// # Errors
    /// As [`one`](Self::one).
    pub(super) fn longer(&self, fault: &Fault, seed: Seed) -> Result<Caught> {
        Ok(self.stress(fault, seed, 2 * self.time)?.judged(fault))
    }

    /// Whether the conformance suite has a finding, with such a quarantine.
    fn conform_finds(&self, fault: &Fault, quarantine: &str) -> Result<bool> {
        let allocator = self.allocator(fault.is_of_the_list());
        let env = format!("DRYSTONE_QUARANTINE={quarantine}");
        let output =
            self.tool(fault.number, &["conform", "--allocator", &allocator, "--env", &env])?;
        Ok(output.status.code() == Some(i32::from(exit::FOUND)))
    }

    /// Runs the clean builds for so long, a quarter of it that of the list, if its faults were
    /// hunted; what was found, which is false.
    ///
    /// # Errors
    /// As [`one`](Self::one).
    pub(super) fn clean(&self, time: Duration, list: bool) -> Result<Option<Caught>> {
        let least = Duration::from_secs(10);
        let of_the_list = if list { time / 4 } else { Duration::ZERO };
        for (list, time) in [(false, (time - of_the_list).max(least)), (true, of_the_list)] {
            if time.is_zero() {
                continue;
            }
            let caught = self.hunted(0, list, Seed(1), time.max(least))?;
            if caught.by.is_some() {
                return Ok(Some(caught));
            }
        }
        Ok(None)
    }

    fn stress(&self, fault: &Fault, seed: Seed, time: Duration) -> Result<Caught> {
        self.hunted(fault.number, fault.is_of_the_list(), seed, time)
    }

    /// The default run in one of the libraries, with a fault planted; 0 is none.
    fn hunted(&self, number: u32, list: bool, seed: Seed, time: Duration) -> Result<Caught> {
        let allocator = self.allocator(list);
        let findings = self.findings.path().to_string_lossy().into_owned();
        let (seed, time) = (seed.to_string(), format!("{}ms", time.as_millis()));
        let began = Instant::now();
        let output = self.tool(
            number,
            &[
                "--allocator",
                &allocator,
                "--for",
                &time,
                "--seed",
                &seed,
                "--first",
                "--format",
                "json",
                "--findings",
                &findings,
            ],
        )?;
        let took = began.elapsed();
        let report: Value = serde_json::from_slice(&output.stdout).with_context(|| {
            format!("the tool's report:\n{}", String::from_utf8_lossy(&output.stderr))
        })?;
        let finding = &report["findings"][0];
        let text = |key: &str| finding[key].as_str().map(str::to_owned);
        let by = text("workload");
        let replays = match (&by, text("folder")) {
            (Some(_), Some(folder)) if !self.quick => {
                Some(self.replays(number, Path::new(&folder))?)
            }
            _ => None,
        };
        let kind = match &by {
            Some(_) => serde_json::from_value::<Kind>(finding["kind"].clone())
                .context("a finding's kind")?
                .to_string(),
            None => String::new(),
        };
        Ok(Caught { by, kind, took, named: false, replays })
    }

    fn replays(&self, number: u32, folder: &Path) -> Result<bool> {
        let folder = folder.to_string_lossy();
        let arguments = ["replay", &folder, "--recorded", "2", "--times", "3", "--format", "json"];
        let output = self.tool(number, &arguments)?;
        Ok(output.status.code() == Some(i32::from(exit::FOUND)))
    }

    /// The library that a fault is planted in, or the clean build of the first.
    fn allocator(&self, list: bool) -> String {
        let library = if list { &self.libraries.list } else { &self.libraries.drystone };
        format!("zoo={}", library.display())
    }

    fn tool(&self, number: u32, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.program);
        command.args(arguments).env(VARIABLE, number.to_string()).stdin(Stdio::null());
        command.output().with_context(|| format!("starting {}", self.program.display()))
    }
}

//! The record: its fields, its reader and its writer, together, so that they cannot drift apart.
//!
//! A record is one JSON object on one line. Invariants that the reader checks and everything after
//! it relies on: at least one process; every process has at least one benchmark; every benchmark
//! has as many iteration counts as times, at least one, all of them, and the times per iteration,
//! finite and above zero; the commit is a hash; what is printed to terminals holds no control
//! character.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::machine::Machine;

/// What the `format` field of every record says.
const FORMAT: &str = "drystone-results";

/// The version this program writes, and the only one it reads.
///
/// Any change to a field's name, type, unit or meaning raises it: an old program must reject
/// what it would misread. README.md lists the versions.
const VERSION: u32 = 1;

/// One side's benchmark figures, with all that must agree before two of them can be compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    format: String,
    version: u32,
    /// The commit's full hash.
    pub commit: String,
    /// Whether the tree differed from the commit.
    pub dirty: bool,
    /// When the record was finished, ISO 8601 in UTC.
    pub date: String,
    /// Where it was measured.
    pub machine: Machine,
    /// What `rustc --version` printed in the measured tree.
    pub rustc: String,
    /// How each benchmark was measured.
    pub settings: Settings,
    /// The regular expression that chose the benchmarks; none when all were run.
    pub filter: Option<String>,
    /// The measurement this record came out of.
    pub session: Session,
    /// What each process measured, in the order they ran.
    pub processes: Vec<Process>,
}

/// How criterion was told to measure. Figures of different settings are not comparable: another
/// warm-up or another number of iterations leaves caches and heaps in another state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Warm-up of each benchmark, in milliseconds.
    pub warm_up_ms: u64,
    /// Target time of each benchmark's samples together, in milliseconds.
    pub measurement_ms: u64,
    /// Samples of each benchmark.
    pub samples: usize,
    /// Bootstrap resamples of criterion's own report, which costs time and is not read here.
    pub resamples: usize,
}

impl Default for Settings {
    /// About a minute and a half for a process of a hundred benchmarks. What matters is the number
    /// of processes; more time within one narrows nothing once its median is steady.
    fn default() -> Self {
        // Below 1,000 resamples criterion warns on every run.
        Self { warm_up_ms: 200, measurement_ms: 500, samples: 20, resamples: 1_000 }
    }
}

/// One measurement, of one side or of two sides interleaved. Records with equal sessions were
/// measured together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// When it began, ISO 8601 in UTC.
    pub started: String,
    /// The seed of the order of the processes.
    pub seed: u64,
    /// Processes asked for per side; a record that was cut short holds fewer.
    pub runs: usize,
}

/// What one process measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// This process's place among all of its session, both sides counted, from 0.
    pub position: usize,
    /// Samples by benchmark id, `group/allocator/parameter`.
    pub benchmarks: BTreeMap<String, Samples>,
}

/// Criterion's raw samples of one benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Samples {
    /// Work per iteration in criterion's own notation, such as `{"Elements": 1000}`.
    pub throughput: Option<serde_json::Value>,
    /// Iterations of each sample.
    pub iters: Vec<f64>,
    /// Wall time of each sample in nanoseconds, all its iterations together.
    pub times: Vec<f64>,
}

impl Samples {
    /// Nanoseconds per iteration, sample by sample.
    pub fn ns_per_iteration(&self) -> Vec<f64> {
        self.times.iter().zip(&self.iters).map(|(time, iters)| time / iters).collect()
    }

    /// Fails, naming what is wrong, unless the samples keep the module's invariants.
    pub fn check(&self) -> Result<()> {
        let usable = |number: &f64| number.is_finite() && *number > 0.0;
        ensure!(!self.times.is_empty(), "no sample was taken");
        ensure!(
            self.iters.len() == self.times.len(),
            "{} iteration counts but {} times",
            self.iters.len(),
            self.times.len()
        );
        ensure!(self.iters.iter().all(usable), "a sample ran no iteration");
        ensure!(self.times.iter().all(usable), "a sample took no time: it measured nothing");
        // Neither may be out of bounds and the quotient still be.
        ensure!(
            self.ns_per_iteration().iter().all(usable),
            "a sample's time per iteration is zero or infinite"
        );
        Ok(())
    }
}

/// Fails unless `text`, which is the record's `what`, can be printed as it is: a control character
/// could rewrite what a terminal shows.
///
/// # Errors
/// If it holds one.
pub fn check_printable(what: &str, text: &str) -> Result<()> {
    ensure!(!text.contains(char::is_control), "the {what} {text:?} holds a control character");
    Ok(())
}

/// The part of a record that every version has.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

impl Record {
    /// A record of `processes`, dated now.
    ///
    /// # Errors
    /// If `processes` break the module's invariants: nothing was measured.
    pub fn new(origin: Origin, session: Session, processes: Vec<Process>) -> Result<Self> {
        let Origin { commit, dirty, machine, rustc, settings, filter } = origin;
        let record = Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            commit,
            dirty,
            date: super::utc_now(),
            machine,
            rustc,
            settings,
            filter,
            session,
            processes,
        };
        record.check()?;
        Ok(record)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// If the file cannot be read, is no record, is of another version, or breaks an invariant; the
    /// sentence names the file and what to do.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        Self::parse(&text).with_context(|| format!("cannot use {shown}"))
    }

    /// Reads a record's text, as [`read`](Self::read) does.
    ///
    /// # Errors
    /// As there.
    pub fn parse(text: &str) -> Result<Self> {
        let head: Head = serde_json::from_str(text)
            .context("it is not a record; give a file that `results record` wrote")?;
        ensure!(
            head.format == FORMAT,
            "it is a `{}` file, not a `{FORMAT}` record; give one that `results record` wrote",
            head.format.escape_debug()
        );
        if head.version != VERSION {
            bail!(
                "it is a record of version {}, and this program reads version {VERSION}: measure \
                 that commit again with `results record`, or use the program of the version that \
                 wrote it",
                head.version
            );
        }
        let record: Self = serde_json::from_str(text)
            .context("it is damaged; measure that commit again with `results record`")?;
        record.check().context("it is damaged")?;
        Ok(record)
    }

    fn check(&self) -> Result<()> {
        ensure!(
            !self.commit.is_empty() && self.commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "the commit {:?} is not a hexadecimal hash",
            self.commit
        );
        let Machine { name, cpu, arch, kernel, .. } = &self.machine;
        for (what, text) in [
            ("date", &self.date),
            ("machine's name", name),
            ("machine's cpu", cpu),
            ("machine's arch", arch),
            ("machine's kernel", kernel),
            ("compiler", &self.rustc),
        ] {
            check_printable(what, text)?;
        }
        ensure!(!self.processes.is_empty(), "it holds no process");
        for (number, process) in (1..).zip(&self.processes) {
            ensure!(!process.benchmarks.is_empty(), "process {number} ran no benchmark");
            for (id, samples) in &process.benchmarks {
                check_printable("benchmark id", id)?;
                samples.check().with_context(|| format!("benchmark {id}, process {number}"))?;
            }
        }
        Ok(())
    }

    /// Writes the record, to a temporary name first, then renamed: no reader ever meets half of
    /// one. Creates the folder.
    ///
    /// # Errors
    /// If the folder or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let shown = path.display();
        self.try_write(path).with_context(|| format!("cannot write {shown}"))
    }

    /// Fails unless a record can be written here, before anything is measured for it. What is there
    /// must be a plain file: a folder, a device or a link would not survive being replaced.
    ///
    /// # Errors
    /// If so, with what to change.
    pub fn check_writable(path: &Path) -> Result<()> {
        let shown = path.display();
        if let Ok(there) = std::fs::symlink_metadata(path) {
            ensure!(
                there.is_file(),
                "{shown} is no plain file, and is not replaced: name another file"
            );
        }
        let folder = folder_of(path);
        std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder)).with_context(
            || format!("cannot write {shown}: name a file in a folder that can be written to"),
        )?;
        Ok(())
    }

    fn try_write(&self, path: &Path) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder_of(path);
        std::fs::create_dir_all(folder)?;
        // As other programs create files, not private as temporary ones are; the umask applies.
        let mode = std::fs::Permissions::from_mode(0o666);
        let mut file = tempfile::Builder::new()
            .prefix(".record-")
            .suffix(".tmp")
            .permissions(mode)
            .tempfile_in(folder)?;
        serde_json::to_writer(&mut file, self)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }
}

fn folder_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// What was measured, where and how: a record without its figures.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The commit's full hash.
    pub commit: String,
    /// Whether the tree differed from the commit.
    pub dirty: bool,
    /// Where it was measured.
    pub machine: Machine,
    /// What `rustc --version` printed in the measured tree.
    pub rustc: String,
    /// How each benchmark was measured.
    pub settings: Settings,
    /// The regular expression that chose the benchmarks.
    pub filter: Option<String>,
}

/// Records for other rooms' tests.
#[cfg(test)]
pub mod fixtures {
    use super::*;

    /// A record of one benchmark per entry of `medians`: its id, and the nanoseconds per iteration
    /// of each process.
    pub fn record(commit: &str, medians: &[(&str, &[f64])]) -> Record {
        let runs = medians.iter().map(|(_, times)| times.len()).max().unwrap_or(0);
        let processes = (0..runs)
            .map(|position| Process {
                position,
                benchmarks: medians
                    .iter()
                    .filter_map(|(id, times)| {
                        let time = times.get(position)?;
                        let samples = Samples {
                            throughput: Some(serde_json::json!({ "Elements": 1 })),
                            iters: vec![10.0, 20.0, 30.0],
                            times: vec![time * 11.0, time * 20.0, time * 27.0],
                        };
                        Some(((*id).to_owned(), samples))
                    })
                    .collect(),
            })
            .collect();
        let origin = Origin {
            commit: commit.to_owned(),
            dirty: false,
            machine: Machine::new("Test CPU", 2, "x86_64", "6.1.0"),
            rustc: "rustc 1.95.0".to_owned(),
            settings: Settings::default(),
            filter: None,
        };
        let session = Session { started: "2026-01-02T03:04:05Z".to_owned(), seed: 1, runs };
        let record = Record::new(origin, session, processes).expect("the fixture is sound");
        Record { date: "2026-01-02T03:05:06Z".to_owned(), ..record }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Record {
        fixtures::record(
            "c0ffee",
            &[("pair/list/16", &[10.0, 11.0]), ("ring/list/16", &[5.0, 6.0])],
        )
    }

    fn rejection(text: &str) -> String {
        format!("{:#}", Record::parse(text).expect_err("it must be rejected"))
    }

    fn changed(change: impl FnOnce(&mut serde_json::Value)) -> String {
        let mut value = serde_json::to_value(sample()).unwrap();
        change(&mut value);
        value.to_string()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/record.json");
        sample().write(&path).unwrap();
        assert_eq!(Record::read(&path).unwrap(), sample());
        let names: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(names.len(), 1, "the temporary file is gone");
    }

    /// A record as version 1 wrote it. If this fails, the version must be raised.
    #[test]
    fn a_record_of_version_1_can_still_be_read() {
        let text = r#"{"format":"drystone-results","version":1,"commit":"c0ffee","dirty":false,
            "date":"2026-01-02T03:04:05Z","machine":{"name":"cpu-2c-0","cpu":"cpu","cores":2,
            "arch":"x86_64","kernel":"6.1"},"rustc":"rustc 1.95.0","settings":{"warm_up_ms":200,
            "measurement_ms":500,"samples":20,"resamples":1000},"filter":null,"session":{"started":
            "2026-01-02T03:00:00Z","seed":1,"runs":5},"processes":[{"position":0,"benchmarks":{
            "pair/list/16":{"throughput":{"Elements":1},"iters":[1,2],"times":[10.5,20]}}}]}"#;
        let record = Record::parse(text).unwrap();
        let samples = &record.processes[0].benchmarks["pair/list/16"];
        assert_eq!(samples.ns_per_iteration(), [10.5, 10.0]);
    }

    #[test]
    fn other_versions_are_rejected_with_advice() {
        let said = rejection(&changed(|record| record["version"] = 2.into()));
        assert!(said.contains("version 2") && said.contains("`results record`"), "{said}");
        // Even if nothing else is where version 1 has it.
        let said = rejection(r#"{"format":"drystone-results","version":9,"runs":[]}"#);
        assert!(said.contains("version 9"), "{said}");
    }

    #[test]
    fn what_is_no_record_is_rejected() {
        assert!(rejection("no json").contains("not a record"));
        assert!(rejection(r#"{"format":"other","version":1}"#).contains("`other` file"));
    }

    #[test]
    fn damage_is_rejected() {
        let samples = "/processes/1/benchmarks/pair~1list~116";
        let with = |pointer: &str, value: serde_json::Value| {
            let pointer = format!("{samples}{pointer}");
            rejection(&changed(|record| *record.pointer_mut(&pointer).unwrap() = value))
        };
        assert!(with("/times", serde_json::json!([])).contains("no sample"));
        assert!(
            with("/times", serde_json::json!([1.0])).contains("3 iteration counts but 1 times")
        );
        assert!(with("/times/0", 0.into()).contains("took no time"));
        assert!(with("/iters/0", 0.into()).contains("ran no iteration"));
        assert!(with("/times/0", serde_json::Value::Null).contains("damaged"));
        assert!(with("/iters/0", 0.into()).contains("benchmark pair/list/16, process 2"));
        // Within bounds each, but not divided by one another.
        let quotient = |time: f64, iterations: f64| {
            rejection(&changed(|record| {
                let samples = record.pointer_mut(samples).unwrap();
                samples["times"][0] = time.into();
                samples["iters"][0] = iterations.into();
            }))
        };
        assert!(quotient(1e308, 1e-9).contains("zero or infinite"));
        assert!(quotient(1e-300, 1e300).contains("zero or infinite"));
        let none = changed(|record| record["processes"] = serde_json::json!([]));
        assert!(rejection(&none).contains("holds no process"));
        let idle = changed(|record| record["processes"][0]["benchmarks"] = serde_json::json!({}));
        assert!(rejection(&idle).contains("process 1 ran no benchmark"));
        let more = changed(|record| record["new_field"] = 1.into());
        assert!(rejection(&more).contains("damaged"));
    }

    #[test]
    fn what_could_not_be_printed_is_rejected() {
        let with = |pointer: &str, value: &str| {
            rejection(&changed(|record| *record.pointer_mut(pointer).unwrap() = value.into()))
        };
        for commit in ["", "main", "c0ffee\u{1b}[2J"] {
            assert!(with("/commit", commit).contains("not a hexadecimal hash"), "{commit:?}");
        }
        for pointer in ["/date", "/rustc", "/machine/name", "/machine/cpu", "/machine/kernel"] {
            let said = with(pointer, "a\u{1b}[31mb");
            assert!(said.contains("control character"), "{said}");
            assert!(!said.contains(char::is_control), "{said:?}");
        }
        let said = rejection(&changed(|record| {
            let benchmarks = record["processes"][0]["benchmarks"].as_object_mut().unwrap();
            let samples = benchmarks["pair/list/16"].clone();
            benchmarks.insert("pair\n/list".to_owned(), samples);
        }));
        assert!(said.contains(r#"benchmark id "pair\n/list" holds a control"#), "{said}");
    }
}

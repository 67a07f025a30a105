//! One process of benchmarks: the trait behind which the real one and the tests' fake stand.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::criterion;
use super::exported::Exported;
use crate::child;
use crate::interrupt::Interrupt;
use crate::records::record::{Samples, Settings};

/// Something that can measure all benchmarks of a side once.
pub trait Bench {
    /// Runs one fresh process of the side with this number and returns its samples by benchmark id.
    ///
    /// # Errors
    /// [`super::Interrupted`] if the user asked to stop; any other error if the process failed or
    /// measured nothing.
    fn run(&mut self, side: usize) -> Result<BTreeMap<String, Samples>>;
}

/// A side's built benchmarks.
#[derive(Debug)]
pub struct Built {
    /// The executable.
    pub executable: PathBuf,
    /// What it was built from, and where it runs.
    pub tree: Tree,
}

/// A workspace to build and run in.
#[derive(Debug)]
pub enum Tree {
    /// The one the user works in, by its root.
    Working(PathBuf),
    /// A commit's, which is removed when this is dropped.
    Commit(Exported),
}

impl Tree {
    /// The workspace's root folder.
    pub fn root(&self) -> PathBuf {
        match self {
            Self::Working(root) => root.clone(),
            Self::Commit(exported) => exported.root(),
        }
    }
}

/// The real thing: criterion executables.
pub struct CargoBench<'a> {
    /// The sides, by number.
    pub sides: Vec<Built>,
    /// How to measure.
    pub settings: Settings,
    /// Which benchmarks.
    pub filter: Option<String>,
    /// Whether to stop.
    pub interrupt: &'a Interrupt,
}

impl Bench for CargoBench<'_> {
    fn run(&mut self, side: usize) -> Result<BTreeMap<String, Samples>> {
        let built = &self.sides[side];
        // A fresh folder for each process, with names of equal length: criterion would otherwise
        // compare with the process before, and see `exported` for why the length matters.
        // A commit's is beside its tree, to be removed with it should this program be killed.
        let folder = match &built.tree {
            Tree::Working(_) => tempfile::Builder::new().prefix("drystone-").tempdir(),
            Tree::Commit(exported) => {
                tempfile::Builder::new().prefix("run-").tempdir_in(exported.path())
            }
        }
        .context("no temporary folder")?;
        let (home, log) = (folder.path().join("criterion"), folder.path().join("log"));
        let mut command = self.command(built, &home, &File::create(&log)?)?;
        let status = child::run(&mut command, self.interrupt)?;
        ensure!(
            status.success(),
            "a benchmark process of {} failed ({status}); the end of its output:\n{}",
            built.tree.root().display(),
            last_lines(&log, 10)
        );
        let benchmarks = criterion::read(&home)?;
        if benchmarks.is_empty() {
            match &self.filter {
                Some(filter) => bail!("the filter `{filter}` matches no benchmark"),
                None => bail!("the benchmark executable ran no benchmark"),
            }
        }
        Ok(benchmarks)
    }
}

impl CargoBench<'_> {
    fn command(&self, built: &Built, home: &Path, log: &File) -> Result<Command> {
        let mut command = Command::new(&built.executable);
        command
            .args(criterion::arguments(&self.settings, self.filter.as_deref()))
            .current_dir(built.tree.root())
            .env("CRITERION_HOME", home)
            // As `cargo bench` would set it; ours names another package.
            .env("CARGO_MANIFEST_DIR", built.tree.root())
            .env_remove("CARGO_CRITERION_PORT")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?);
        Ok(command)
    }
}

fn last_lines(path: &Path, number: usize) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(number)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// Runs a shell script as if it were a benchmark executable.
    fn run(script: &str, filter: Option<&str>) -> Result<BTreeMap<String, Samples>> {
        let folder = tempfile::tempdir().unwrap();
        let executable = folder.path().join("bench");
        std::fs::write(&executable, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&executable, std::fs::Permissions::from_mode(0o755)).unwrap();
        let built = Built { executable, tree: Tree::Working(folder.path().to_owned()) };
        let interrupt = Interrupt::default();
        let mut bench = CargoBench {
            sides: vec![built],
            settings: Settings::default(),
            filter: filter.map(str::to_owned),
            interrupt: &interrupt,
        };
        loop {
            let result = bench.run(0);
            // A test on another thread that forks while the script is open for writing keeps it
            // open until it executes something, and the kernel executes no file that is being
            // written.
            let busy = |error: &anyhow::Error| format!("{error:#}").contains("Text file busy");
            if !result.as_ref().is_err_and(busy) {
                return result;
            }
        }
    }

    const ONE: &str = r#"
        mkdir -p "$CRITERION_HOME/x/new"
        echo '{"iters":[2],"times":[8]}' > "$CRITERION_HOME/x/new/sample.json"
        echo '{"full_id":"x/y/z","throughput":null}' > "$CRITERION_HOME/x/new/benchmark.json""#;

    #[test]
    fn samples_are_read_from_a_home_of_their_own() {
        let benchmarks = run(&format!("test ! -e \"$CRITERION_HOME\" || exit 9\n{ONE}"), None);
        assert_eq!(benchmarks.unwrap()["x/y/z"].ns_per_iteration(), [4.0]);
    }

    #[test]
    fn a_process_without_a_benchmark_fails() {
        let said = format!("{:#}", run("exit 0", None).unwrap_err());
        assert!(said.contains("ran no benchmark"), "{said}");
        let said = format!("{:#}", run("exit 0", Some("nothing")).unwrap_err());
        assert_eq!(said, "the filter `nothing` matches no benchmark");
    }

    #[test]
    fn a_failing_process_fails_with_the_end_of_its_output_even_if_it_measured() {
        let said =
            format!("{:#}", run(&format!("{ONE}\necho oh no >&2; exit 3"), None).unwrap_err());
        assert!(said.contains("exit status: 3") && said.ends_with("oh no"), "{said}");
    }
}

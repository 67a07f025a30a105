//! A project in a temporary git repository, with benchmarks that take no time (`tests/project`), to
//! run the real program on: real git, real cargo, no measuring.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The project; gone when dropped.
///
/// ```text
/// <temporary>/project/     the repository
///             tmp/         TMPDIR of all that runs in it, to see what is left behind
///             log          one line per benchmark process that ran
/// ```
pub struct Project {
    folder: TempDir,
}

/// What a run of `results` said and how it ended.
pub struct Output {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its results.
    pub stdout: String,
    /// Its prose.
    pub stderr: String,
}

impl Project {
    /// A project with one commit, whose benchmarks take what `figures` say.
    pub fn new(figures: &str) -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(project.tmp()).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/project");
        std::fs::create_dir(project.root()).unwrap();
        for file in ["Cargo.toml", "lib.rs", "bench.rs"] {
            std::fs::copy(source.join(file), project.root().join(file)).unwrap();
        }
        project.write(".gitignore", "/target\n/results/store/*/\n");
        project.git(&["init", "--quiet", "--initial-branch=main"]);
        project.write("figures.txt", figures);
        let lock = Command::new(env!("CARGO"))
            .args(["generate-lockfile", "--offline", "--quiet"])
            .current_dir(project.root())
            .status()
            .unwrap();
        assert!(lock.success());
        project.commit();
        project
    }

    /// The repository's root.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    /// The folder for temporary files.
    pub fn tmp(&self) -> PathBuf {
        self.folder.path().join("tmp")
    }

    /// Writes a file of the project.
    pub fn write(&self, file: &str, text: &str) {
        std::fs::write(self.root().join(file), text).unwrap();
    }

    /// A new commit with these figures; returns its hash.
    pub fn commit_figures(&self, figures: &str) -> String {
        self.write("figures.txt", figures);
        self.commit()
    }

    /// Commits everything; returns the commit's hash.
    pub fn commit(&self) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "a commit"]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Runs git; returns what it printed.
    pub fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=Test", "-c", "user.email=test@example.com"])
            .args(arguments)
            .current_dir(self.root())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// `results`, about to be run in the project.
    pub fn results(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drystone-results"));
        command
            .args(arguments)
            .current_dir(self.root())
            .env("TMPDIR", self.tmp())
            .env("FAKE_LOG", self.folder.path().join("log"))
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null());
        command
    }

    /// Runs `results` to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        Output::of(&mut self.results(arguments))
    }

    /// Runs `results` until benchmark process `number` (from 0) waits, sends an interrupt, and
    /// waits for the end.
    pub fn run_interrupted_at(&self, number: usize, arguments: &[&str]) -> Output {
        self.run_signalled_at(number, "-INT", arguments)
    }

    /// Likewise, with another signal.
    pub fn run_signalled_at(&self, number: usize, signal: &str, arguments: &[&str]) -> Output {
        let mut command = self.results(arguments);
        command.env("FAKE_STOP", number.to_string()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stopped = self.folder.path().join("log.stopped");
        while !stopped.exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        if child.try_wait().unwrap().is_none() {
            // The shell's own: not every machine has the program.
            let kill = format!("kill {signal} {}", child.id());
            assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        }
        Output::from(child.wait_with_output().unwrap())
    }

    /// The first figure of each benchmark process that ran, in order.
    pub fn log(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// All records in the store, by file name.
    pub fn stored(&self) -> Vec<PathBuf> {
        let Ok(machines) = std::fs::read_dir(self.root().join("results/store")) else {
            return Vec::new();
        };
        let mut records: Vec<PathBuf> = machines
            .flat_map(|machine| std::fs::read_dir(machine.unwrap().path()).unwrap())
            .map(|record| record.unwrap().path())
            .collect();
        records.sort();
        records
    }

    /// Fails unless every temporary file is gone and git knows of no worktree but the first.
    pub fn assert_nothing_left(&self) {
        let left: Vec<_> = std::fs::read_dir(self.tmp()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        let worktrees = self.git(&["worktree", "list"]);
        assert_eq!(worktrees.lines().count(), 1, "{worktrees}");
    }
}

impl Output {
    /// What comes of running `command`.
    pub fn of(command: &mut Command) -> Self {
        Self::from(command.output().unwrap())
    }

    fn from(output: std::process::Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Fails unless the program rejected: exit code 2, nothing on stdout, and as its last error on
    /// stderr (a compiler may have said some before) one that holds `sentence`.
    pub fn assert_rejected(&self, sentence: &str) {
        assert_eq!(self.code, Some(2), "{}", self.stderr);
        assert_eq!(self.stdout, "");
        let error = self.stderr.lines().rfind(|line| line.starts_with("error: "));
        assert!(error.is_some_and(|error| error.contains(sentence)), "{}", self.stderr);
    }
}

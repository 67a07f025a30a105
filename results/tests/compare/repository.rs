//! A repository that is not ours.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A repository; gone when dropped.
pub struct Repository {
    pub folder: TempDir,
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

impl Output {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|_| panic!("{}{}", self.stdout, self.stderr))
    }

    pub fn assert_rejected(&self, sentence: &str) {
        assert_eq!(self.code, Some(2), "{}", self.stderr);
        assert!(self.stderr.contains(sentence), "{}", self.stderr);
    }
}

impl Repository {
    /// One without a commit.
    pub fn empty() -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(repository.root()).unwrap();
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    /// One with a commit of the allocator.
    pub fn new() -> Self {
        let repository = Self::empty();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/allocator");
        for file in ["alloc.c", "knobs.h", "compare.toml"] {
            std::fs::copy(source.join(file), repository.root().join(file)).unwrap();
        }
        repository.commit();
        repository
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    /// The tool's own folder.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub fn write(&self, file: &str, text: &str) {
        std::fs::write(self.root().join(file), text).unwrap();
    }

    pub fn knobs(&self, spin: u32, fat: u32, wrong: u32) {
        let knobs = [("SPIN", spin), ("FAT", fat), ("WRONG", wrong)];
        let text = knobs.map(|(name, value)| format!("#define {name} {value}\n"));
        self.write("knobs.h", &text.concat());
    }

    pub fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "a commit"]);
    }

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

    pub fn compare(&self, arguments: &[&str]) -> Command {
        self.results(&[&["compare"], arguments].concat())
    }

    pub fn results(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drystone-results"));
        command
            .args(arguments)
            .current_dir(self.root())
            .env("DRYSTONE_RESULTS_HOME", self.home())
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        Self::output(&mut self.compare(arguments))
    }

    pub fn output(command: &mut Command) -> Output {
        let output = command.output().unwrap();
        Output {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The evidence files, the oldest first.
    pub fn runs(&self) -> Vec<PathBuf> {
        let runs = std::fs::read_dir(self.home().join("runs")).unwrap();
        let mut runs: Vec<_> = runs.map(|run| run.unwrap().path().join("evidence.jsonl")).collect();
        runs.sort();
        runs
    }

    /// The lines of the last evidence file.
    pub fn evidence(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.runs().last().unwrap()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

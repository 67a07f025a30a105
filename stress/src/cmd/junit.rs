//! `--junit FILE`: the outcome as JUnit XML, which CI systems show as tests: a suite for each
//! allocator, a test for each run.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use drystone_harness::entry;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::model::finding::Finding;
use crate::model::outcome::Outcome;
use crate::model::runs::Results;

/// The file, opened before the first run.
#[derive(Debug)]
pub struct Junit {
    file: File,
    path: String,
}

impl Junit {
    /// Opens the file. A file of before keeps its text until there is another.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::options().write(true).create(true).truncate(false).open(path);
        let path = path.display().to_string();
        Ok(Self { file: file.with_context(|| format!("--junit {path}"))?, path })
    }

    /// Writes the outcome.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn write(mut self, results: &Results) -> Result<()> {
        let text = xml(results).context("writing JUnit XML")?;
        let path = self.path;
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| self.file.write_all(text.as_bytes()))
            .with_context(|| format!("writing --junit {path}"))
    }
}

fn xml(results: &Results) -> Result<String> {
    let mut report = Report::new(entry::INSTALLED);
    report.set_time(results.elapsed);
    let mut suites: Vec<TestSuite> = Vec::new();
    for outcome in &results.outcomes {
        let name = outcome.spec.allocator.as_str();
        let place = suites.iter().position(|suite| suite.name.as_str() == name);
        let place = place.unwrap_or_else(|| {
            suites.push(TestSuite::new(name));
            suites.len() - 1
        });
        suites[place].add_test_case(case(outcome));
    }
    if !results.failures.is_empty() || results.interrupted {
        let mut whole = TestSuite::new("campaign");
        for failure in &results.failures {
            whole.add_test_case(broken("a run", failure));
        }
        if results.interrupted {
            whole.add_test_case(broken("the whole", "stopped before its end"));
        }
        suites.push(whole);
    }
    report.add_test_suites(suites);
    Ok(report.to_string()?)
}

/// A run. All its findings are one failure: a test has no more.
fn case(outcome: &Outcome) -> TestCase {
    let spec = &outcome.spec;
    let findings: Vec<&Finding> = outcome.findings().collect();
    let mut status = TestCaseStatus::success();
    if let Some(first) = findings.first() {
        status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        let texts: Vec<String> = findings.iter().map(|finding| finding.to_string()).collect();
        status
            .set_type(first.kind.to_string())
            .set_message(format!("expected {}; seen: {}", first.expected, first.seen))
            .set_description(texts.join("\n"));
    }
    let settings = &spec.settings;
    let name = format!("{}{settings}, {} threads, seed {}", spec.workload, spec.threads, spec.seed);
    let mut case = TestCase::new(name, status);
    case.set_classname(&spec.allocator).set_time(outcome.elapsed.max(Duration::from_millis(1)));
    case
}

/// What did not come to an answer.
fn broken(name: &str, why: &str) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_message(why);
    TestCase::new(name, status)
}

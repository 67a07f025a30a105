//! The correctness lane: the stress tool on B, and on A where B has a finding.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::context::Context;
use crate::child;
use crate::decide::new_findings;
use crate::evidence::{Correctness, Line};
use crate::interrupt::Interrupted;

/// How the stress tool is called; the library, and how long, follow. It is built from the tree that
/// this program was built from, whatever is compared: one harness for both sides.
const STRESS: [&str; 4] = ["stress", "--format", "json", "--allocator"];

/// How long, unless the budget is short.
const SECONDS: u64 = 20;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Nothing was found in B that was not in A.
    Fine,
    /// A finding in B, of a kind that A has none of.
    Veto,
    /// Ctrl-C.
    Interrupted,
}

/// Runs the stress tool.
///
/// # Errors
/// If a library cannot be linked, or the evidence not be written.
pub fn correctness(context: &mut Context) -> Result<Word> {
    let seconds = SECONDS.min(context.left().as_secs() / 10).max(2);
    let mut found = [Vec::new(), Vec::new()];
    for side in [1, 0] {
        if side == 0 && found[1].is_empty() {
            break;
        }
        context.progress.detail(if side == 0 { "A too" } else { "B" });
        match one(context, side, seconds) {
            Ok(said) => {
                found[side].clone_from(&said.findings);
                context.keep(Line::Correctness(said))?;
            }
            Err(error) if error.is::<Interrupted>() => return Ok(Word::Interrupted),
            Err(error) => return Err(error),
        }
    }
    let [a, b] = &found;
    Ok(if new_findings(a, b).is_empty() { Word::Fine } else { Word::Veto })
}

fn one(context: &mut Context, side: usize, seconds: u64) -> Result<Correctness> {
    let name = ['a', 'b'][side];
    let skipped = |why: &str| Correctness {
        side: name,
        seconds: 0.0,
        code: 0,
        findings: Vec::new(),
        skipped: Some(why.to_owned()),
    };
    let tree =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().filter(|tree| tree.join("stress").is_dir());
    let Some(tree) = tree else {
        return Ok(skipped("the stress tool's source is not where this program was built"));
    };
    let folder = tempfile::tempdir_in(&context.scratch).context("cannot make a folder")?;
    let library = folder.path().join(format!("{name}.so"));
    context.libraries[0].make(side, 1, &library)?;
    let mut stdout = tempfile::tempfile().context("cannot make a temporary file")?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(STRESS)
        .arg(&library)
        .args(["--for", &format!("{seconds}s"), "--seed", &context.seed.to_string()])
        .arg("--findings")
        .arg(context.kept.join("findings"))
        .current_dir(tree)
        .stdin(Stdio::null())
        .stdout(stdout.try_clone()?);
    let began = Instant::now();
    let status = child::run(&mut command, context.interrupt)?;
    // Its build is not measuring.
    let took = began.elapsed();
    context.deadline += took.saturating_sub(Duration::from_secs(seconds));
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    let Some(code @ (0 | 1)) = code else {
        return Ok(skipped(&format!("the stress tool failed ({status}): it said above why")));
    };
    let findings = findings(&mut stdout)?;
    Ok(Correctness { side: name, seconds: took.as_secs_f64(), code, findings, skipped: None })
}

/// Each finding of the tool's JSON report, in its own words.
fn findings(stdout: &mut File) -> Result<Vec<String>> {
    let mut text = String::new();
    stdout.rewind()?;
    stdout.read_to_string(&mut text)?;
    let report: Value =
        serde_json::from_str(&text).context("the stress tool's report is no JSON")?;
    let found = report["findings"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(found.iter().map(sentence).collect())
}

fn sentence(finding: &Value) -> String {
    let text = |field: &str| finding[field].as_str().unwrap_or("?").to_owned();
    let (kind, workload, seen) = (text("kind"), text("workload"), text("seen"));
    format!(
        "{kind} in {workload}: {seen}; expected {}; again: {}",
        text("expected"),
        text("replay")
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// As the stress tool's report has them.
    #[test]
    fn findings_are_told_in_the_tools_own_words() {
        let mut file = tempfile::tempfile().unwrap();
        let text = r#"{"format": "drystone-stress-report", "findings": [{"kind": "overlap",
            "workload": "mixed", "expected": "a block of its own", "seen": "two owners",
            "replay": "cargo stress replay x"}]}"#;
        file.write_all(text.as_bytes()).unwrap();
        let expected = "overlap in mixed: two owners; expected a block of its own; again: \
                        cargo stress replay x";
        assert_eq!(findings(&mut file).unwrap(), [expected]);
        let mut none = tempfile::tempfile().unwrap();
        none.write_all(br#"{"findings": []}"#).unwrap();
        assert!(findings(&mut none).unwrap().is_empty());
        let mut broken = tempfile::tempfile().unwrap();
        broken.write_all(b"words").unwrap();
        assert!(findings(&mut broken).is_err());
    }
}

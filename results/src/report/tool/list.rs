//! What is kept, as people read it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::calibration::Calibration;
use crate::decide::Judged;
use crate::report::figures::{count, kib, percent, wrapped};
use crate::report::sentence::sentence;

/// A file that is kept; what it says, or why it says nothing.
#[derive(Debug)]
pub struct Kept<T> {
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub what: Result<T, String>,
}

/// The newest of `all` comparisons, then calibrations, then how much it is.
pub fn list(
    home: &Path,
    (builds, bytes): (usize, u64),
    (runs, all): (&[Kept<Judged>], usize),
    calibrations: &[Kept<Calibration>],
) -> String {
    let mut out = String::new();
    for run in runs {
        let said = match &run.what {
            Ok(judged) => {
                format!("{} {} {}", minute(&judged.header.started), sentence(judged), how(judged))
            }
            Err(why) => format!("damaged: {why}"),
        };
        out += &entry(&said, &run.path);
    }
    for kept in calibrations {
        let said = match &kept.what {
            Ok(made) => format!(
                "{} calibration of program {} on {}: {}, false verdicts at most {}.",
                minute(&made.made),
                made.harness,
                made.machine.name,
                count(made.processes as usize, "process"),
                percent(made.false_verdicts.high)
            ),
            Err(why) => format!("damaged: {why}"),
        };
        out += &entry(&said, &kept.path);
    }
    let shown = match all - runs.len() {
        0 => String::new(),
        older => format!(" ({older} older not shown: --last {all})"),
    };
    let what = format!(
        "{}{shown}, {}, {}: {} in {}",
        count(all, "comparison"),
        count(calibrations.len(), "calibration"),
        count(builds, "build"),
        kib(bytes as f64 / 1024.0),
        home.display()
    );
    out + &wrapped(&what)
}

/// A sentence, and below it the path, which is never broken.
fn entry(said: &str, path: &Path) -> String {
    let mut out = wrapped(said);
    let _ = writeln!(out, "  {}\n", path.display());
    out
}

/// `2026-11-30T17:58:17Z` to the minute.
fn minute(time: &str) -> String {
    time.chars().take(16).collect::<String>().replace('T', " ")
}

fn how(judged: &Judged) -> String {
    let processes = count(judged.processes.len(), "process");
    match judged.end {
        Some(_) => format!("({processes})"),
        None => format!("({processes}; cut off)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Evidence;
    use crate::evidence::fixtures::header;

    #[test]
    fn each_file_is_a_sentence_and_its_path_and_a_damaged_one_is_said() {
        let evidence = Evidence { header: header(&["pair/64"]), lines: Vec::new() };
        let of = |name: &str, what| Kept { path: PathBuf::from(name), what };
        let runs = [
            of("/kept/runs/b/evidence.jsonl", Ok(Judged::of(evidence))),
            of("/kept/runs/a/evidence.jsonl", Err("it is empty".to_owned())),
        ];
        let said = list(Path::new("/kept"), (3, 5 << 20), (&runs, 7), &[]);
        assert!(said.contains("\n  /kept/runs/b/evidence.jsonl\n"), "{said}");
        let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
        for expected in [
            "can't be told from main yet in 1 of 1 row. (0 processes; cut off)",
            "damaged: it is empty /kept/runs/a",
            "7 comparisons (5 older not shown: --last 7), 0 calibrations, 3 builds: 5120 KiB",
        ] {
            assert!(words.contains(expected), "{expected}: {said}");
        }
        assert!(words.ends_with("in /kept"), "{said}");
    }
}

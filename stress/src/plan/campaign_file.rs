//! Campaign files: subjects × workloads × threads × minutes, in TOML.
//!
//! ```toml
//! minutes = 5                      # of each part, in all
//! subjects = ["list", "system"]
//! threads = [2, 8]
//!
//! [[part]]
//! workloads = ["mixed", "churn:slots=5000"]
//!
//! [[part]]                         # what a part does not say, the top does
//! workloads = ["duel"]
//! minutes = 1
//!
//! [[known]]                        # a fault of a subject that is no finding, but counted and told
//! subject = "system"
//! finding = "misaligned"
//! call = "aligned_alloc"
//! why = "fixed in version 3"
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use drystone_harness::seed::Seed;
use drystone_harness::text::suggest;
use toml::{Table, Value};

use crate::allocators::process::AllocatorEntry;
use crate::model::runs::Plan;
use crate::model::suppressions::Suppression;
use crate::plan::options::Options;

/// What a part can say, and, but for `part` itself, the top too.
const KEYS: [&str; 6] = ["disturb", "minutes", "subjects", "threads", "traces", "workloads"];
const PART: &str = "part";
const KNOWN: &str = "known";
/// What each of those must say.
const KNOWN_KEYS: [&str; 4] = ["subject", "finding", "call", "why"];

/// The plan of the campaign in the file `path`; `options` says what a file can't: seed and output.
///
/// # Errors
/// A sentence that names the file and what to change in it.
pub fn plan(path: &Path, options: &Options, known: &[AllocatorEntry]) -> Result<Plan, String> {
    let named = |why: String| format!("campaign {}: {why}", path.display());
    let text = fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
    parse(&text, options, known).map_err(named)
}

fn parse(text: &str, options: &Options, known: &[AllocatorEntry]) -> Result<Plan, String> {
    let mut top: Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    let parts = tables(&mut top, PART)?.unwrap_or_else(|| vec![Table::new()]);
    let known_faults = tables(&mut top, KNOWN)?.unwrap_or_default();
    refuse_unknown(&top, &[&KEYS[..], &[PART, KNOWN]].concat())?;
    let seed = options.seed.unwrap_or_else(Seed::random);
    let mut whole: Option<Plan> = None;
    for part in parts {
        refuse_unknown(&part, &KEYS)?;
        let said = |key: &str| part.get(key).or_else(|| top.get(key));
        for plan in part_plans(&said, Options { seed: Some(seed), ..options.clone() }, known)? {
            match &mut whole {
                None => whole = Some(plan),
                Some(whole) => {
                    whole.threads = whole.threads.max(plan.threads);
                    whole.runs.extend(plan.runs);
                    whole.left_out.extend(plan.left_out);
                }
            }
        }
    }
    let mut whole = whole.ok_or_else(|| "it names no run".to_owned())?;
    exempt(&known_faults, &mut whole)?;
    Ok(whole)
}

/// The tables of a list of them, if there is one.
fn tables(top: &mut Table, key: &str) -> Result<Option<Vec<Table>>, String> {
    let refused = || format!("`{key}` must be tables: write [[{key}]]");
    let table = |one| match one {
        Value::Table(table) => Ok(table),
        _ => Err(refused()),
    };
    match top.remove(key) {
        None => Ok(None),
        Some(Value::Array(list)) if !list.is_empty() => {
            list.into_iter().map(table).collect::<Result<_, _>>().map(Some)
        }
        Some(_) => Err(refused()),
    }
}

/// Tells the runs what is known of their subjects.
fn exempt(known_faults: &[Table], plan: &mut Plan) -> Result<(), String> {
    for table in known_faults {
        refuse_unknown(table, &KNOWN_KEYS)?;
        let said = |key: &str| {
            let value = table.get(key).and_then(Value::as_str);
            value.ok_or_else(|| format!("[[{KNOWN}]]: `{key}` must be a string"))
        };
        let subject = said("subject")?;
        let known = Suppression::parse(said("finding")?, said("call")?, said("why")?)?;
        let names: BTreeSet<&str> = plan.runs.iter().map(|spec| spec.allocator.as_str()).collect();
        if !names.contains(subject) {
            let names: Vec<&str> = names.into_iter().collect();
            return Err(suggest::refuse("subject in this campaign", subject, &names));
        }
        for spec in plan.runs.iter_mut().filter(|spec| spec.allocator == subject) {
            spec.suppressions.push(known.clone());
        }
    }
    Ok(())
}

fn refuse_unknown(table: &Table, known: &[&str]) -> Result<(), String> {
    match table.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(suggest::refuse("key", key, known)),
        None => Ok(()),
    }
}

/// A part's plans, one for each number of threads.
fn part_plans<'a>(
    said: &impl Fn(&str) -> Option<&'a Value>,
    options: Options,
    known: &[AllocatorEntry],
) -> Result<Vec<Plan>, String> {
    let minutes = match said("minutes") {
        None => return Err("`minutes` is missing: say how long".to_owned()),
        Some(Value::Integer(minutes)) => *minutes as f64,
        Some(Value::Float(minutes)) => *minutes,
        Some(_) => return Err("`minutes` must be a number".to_owned()),
    };
    if !(1e-3..=1e6).contains(&minutes) {
        return Err(format!("`minutes` must be 0.001 to 1000000, not {minutes}"));
    }
    let threads = match said("threads") {
        None => vec![None],
        Some(threads) => numbers(threads, "threads")?
            .into_iter()
            .map(|number| match u16::try_from(number) {
                Ok(number @ 1..=512) => Ok(Some(number)),
                _ => Err(format!("`threads` must be 1 to 512, not {number}")),
            })
            .collect::<Result<_, _>>()?,
    };
    let disturb = said("disturb").map(|value| match value {
        Value::Integer(number) => u32::try_from(*number)
            .map_err(|_| format!("`disturb` must be 0 to {}, not {number}", u32::MAX)),
        _ => Err("`disturb` must be a number".to_owned()),
    });
    let strings = |key: &str| said(key).map_or(Ok(Vec::new()), |value| strings(value, key));
    let options = Options {
        subjects: strings("subjects")?,
        workloads: strings("workloads")?,
        traces: strings("traces")?.into_iter().map(PathBuf::from).collect(),
        time: Some(Duration::from_secs_f64(minutes * 60.0) / threads.len() as u32),
        disturb: disturb.transpose()?.or(options.disturb),
        ..options
    };
    threads
        .into_iter()
        .map(|threads| {
            Options { threads: threads.or(options.threads), ..options.clone() }.plan(known)
        })
        .collect()
}

fn strings(value: &Value, key: &str) -> Result<Vec<String>, String> {
    let refused = || format!("`{key}` must be a list of strings");
    let list = value.as_array().ok_or_else(refused)?;
    list.iter().map(|one| one.as_str().map(str::to_owned).ok_or_else(refused)).collect()
}

fn numbers(value: &Value, key: &str) -> Result<Vec<i64>, String> {
    let refused = || format!("`{key}` must be a list of numbers");
    match value {
        Value::Integer(number) => Ok(vec![*number]),
        Value::Array(list) if !list.is_empty() => {
            list.iter().map(|one| one.as_integer().ok_or_else(refused)).collect()
        }
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::allocators::{linked, process};

    fn plan(text: &str) -> Result<Plan, String> {
        let options = Options::try_parse_from(["cargo stress", "--seed", "7"]).unwrap();
        parse(text, &options, &[linked::LIST, process::SYSTEM])
    }

    #[test]
    fn a_file_is_subjects_times_workloads_times_threads() {
        let text = "
            minutes = 2
            subjects = [\"list\", \"system\"]
            threads = [2, 8]
            [[part]]
            workloads = [\"churn:slots=7\", \"pareto\"]
            [[part]]
            workloads = [\"duel\"]
            subjects = [\"list\"]
            threads = 3
            minutes = 0.5
        ";
        let plan = plan(text).unwrap();
        let runs: Vec<_> = plan
            .runs
            .iter()
            .map(|spec| {
                let seconds = spec.length.time().unwrap().as_secs();
                format!("{spec} {} {seconds}", spec.threads)
            })
            .collect();
        assert_eq!(
            runs,
            [
                "list, churn:slots=7 2 15",
                "list, pareto 2 15",
                "system, churn:slots=7 2 15",
                "system, pareto 2 15",
                "list, churn:slots=7 8 15",
                "list, pareto 8 15",
                "system, churn:slots=7 8 15",
                "system, pareto 8 15",
                "list, duel 3 30",
            ]
        );
        assert!(plan.runs.iter().all(|spec| spec.seed == Seed(7)));
    }

    #[test]
    fn what_is_known_of_a_subject_is_told_to_its_runs_alone() {
        let text = "
            minutes = 1
            [[known]]
            subject = \"system\"
            finding = \"misaligned\"
            call = \"aligned_alloc\"
            why = \"so\"
        ";
        for spec in plan(text).unwrap().runs {
            assert_eq!(spec.suppressions.len(), usize::from(spec.allocator == "system"), "{spec}");
        }
        let refused = |from: &str, to: &str| plan(&text.replace(from, to)).unwrap_err();
        assert!(refused("\"system\"", "\"sytem\"").contains("Did you mean `system`?"));
        assert!(refused("\"misaligned\"", "\"overlap\"").contains("finding that can be exempt"));
        assert!(refused("call = ", "cal = ").contains("Did you mean `call`?"));
        assert!(refused("why = \"so\"", "").contains("`why` must be a string"));
        assert!(refused("[[known]]", "[known]").contains("[[known]]"));
    }

    #[test]
    fn what_is_mistyped_is_refused_with_the_nearest() {
        let refused = |text: &str| plan(text).unwrap_err();
        assert!(
            refused("minuts = 1").contains("there is no key `minuts`. Did you mean `minutes`?")
        );
        assert!(refused("minutes = 1\n[[part]]\nthread = 2").contains("Did you mean `threads`?"));
        assert!(refused("minutes = 1\nsubjects = [\"lits\"]").contains("Did you mean `list`?"));
        assert!(refused("minutes = 1\nworkloads = [\"curn\"]").contains("Did you mean `churn`?"));
        assert!(refused("subjects = [\"list\"]").contains("`minutes` is missing"));
        assert!(refused("minutes = \"5\"").contains("must be a number"));
        for wrong in ["0", "0.0005", "2000000", "-1", "nan"] {
            let said = refused(&format!("minutes = {wrong}"));
            assert!(said.contains("`minutes` must be 0.001 to 1000000, not "), "{said}");
        }
        assert!(refused("minutes = 1\nthreads = [0]").contains("1 to 512, not 0"));
        assert!(refused("minutes = 1\nsubjects = \"list\"").contains("list of strings"));
        assert!(refused("part = 3").contains("[[part]]"));
        assert!(refused("minutes =").contains("TOML parse error"), "{}", refused("minutes ="));
    }
}

//! Campaign files: allocators × workloads × threads × minutes, in TOML.
//!
//! ```toml
//! minutes = 5                      # of each part, in all
//! allocators = ["linked:list", "system"]
//! threads = [2, 8]
//!
//! [[part]]
//! workloads = ["mixed", "churn:slots=5000"]
//!
//! [[part]]                         # what a part does not say, the top does
//! workloads = ["double-free"]
//! minutes = 1
//!
//! [[suppress]]                 # a fault of an allocator that is counted and told, and no finding
//! allocator = "system"
//! finding = "misaligned"
//! call = "aligned_alloc"
//! why = "fixed in version 3"
//! ```
//!
//! Files of before say `subjects` for `allocators` and `[[known]]` with `subject` for
//! `[[suppress]]`; they are read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use drystone_harness::allocators::{Allocator, AllocatorError, Folders};
use drystone_harness::seed::Seed;
use drystone_harness::text::suggest;
use toml::{Table, Value};

use crate::allocators::process::AllocatorEntry;
use crate::model::runs::Plan;
use crate::model::suppressions::Suppression;
use crate::plan::choose::resolve;
use crate::plan::options::Options;

/// The keys of a part, and, `part` itself excepted, of the top too.
const KEYS: [&str; 6] = [ALLOCATORS, "disturb", "minutes", "threads", "traces", "workloads"];
const PART: &str = "part";
const SUPPRESS: &str = "suppress";
/// The keys of those.
const SUPPRESS_KEYS: [&str; 4] = [ALLOCATOR, "finding", "call", "why"];
const ALLOCATORS: &str = "allocators";
const ALLOCATOR: &str = "allocator";

/// What keys were called before.
const OLD_KEYS: [(&str, &str); 3] =
    [("subjects", ALLOCATORS), ("subject", ALLOCATOR), ("known", SUPPRESS)];

/// The plan of the campaign in the file `path`; `options` says what a file can't: seed and output.
///
/// # Errors
/// The file can't be read, or asks for what there is not.
pub fn plan(
    path: &Path,
    options: &Options,
    linked: &[AllocatorEntry],
    folders: &Folders,
) -> Result<Plan> {
    let named = || format!("campaign {}", path.display());
    let text = fs::read_to_string(path).with_context(named)?;
    parse(&text, options, linked, folders).with_context(named)
}

/// The plan of a campaign from its file's text.
///
/// # Errors
/// A sentence that says what to change in it.
pub fn parse(
    text: &str,
    options: &Options,
    linked: &[AllocatorEntry],
    folders: &Folders,
) -> Result<Plan> {
    let top: Table = text.parse()?;
    let mut top = renamed(top)?;
    let parts = tables(&mut top, PART)?.unwrap_or_else(|| vec![Table::new()]);
    let suppressions = tables(&mut top, SUPPRESS)?.unwrap_or_default();
    reject_unknown(&top, &[&KEYS[..], &[PART, SUPPRESS]].concat())?;
    let seed = options.seed.unwrap_or_else(Seed::random);
    let mut whole: Option<Plan> = None;
    for part in parts {
        reject_unknown(&part, &KEYS)?;
        let said = |key: &str| part.get(key).or_else(|| top.get(key));
        for plan in
            part_plans(&said, Options { seed: Some(seed), ..options.clone() }, linked, folders)?
        {
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
    let mut whole = whole.context("it names no run")?;
    let names: Vec<&str> = linked.iter().map(|one| one.name).collect();
    suppress(&suppressions, &mut whole, |text| resolve(text, &names, folders))?;
    Ok(whole)
}

/// The tables of a list of them, if there is one.
fn tables(top: &mut Table, key: &str) -> Result<Option<Vec<Table>>> {
    let rejected = || anyhow!("`{key}` must be tables: write [[{key}]]");
    let table = |one| match one {
        Value::Table(table) => renamed(table),
        _ => Err(rejected()),
    };
    match top.remove(key) {
        None => Ok(None),
        Some(Value::Array(list)) if !list.is_empty() => {
            list.into_iter().map(table).collect::<Result<_, _>>().map(Some)
        }
        Some(_) => Err(rejected()),
    }
}

/// A table with the keys of today.
fn renamed(table: Table) -> Result<Table> {
    let mut new = Table::new();
    for (key, value) in table {
        let today = OLD_KEYS.iter().find(|(old, _)| *old == key).map(|(_, today)| *today);
        let today = today.unwrap_or(&key).to_owned();
        if new.insert(today.clone(), value).is_some() {
            bail!("`{today}` is there under its old name too: leave one out");
        }
    }
    Ok(new)
}

/// Tells the runs which faults of their allocators are suppressed.
fn suppress(
    suppressions: &[Table],
    plan: &mut Plan,
    resolve: impl Fn(&str) -> Result<Allocator, AllocatorError>,
) -> Result<()> {
    for table in suppressions {
        reject_unknown(table, &SUPPRESS_KEYS)?;
        let said = |key: &str| {
            let value = table.get(key).and_then(Value::as_str);
            value.with_context(|| format!("[[{SUPPRESS}]]: `{key}` must be a string"))
        };
        let text = said(ALLOCATOR)?;
        let known = Suppression::parse(said("finding")?, said("call")?, said("why")?)?;
        let names: BTreeSet<String> = plan.runs.iter().map(|spec| spec.allocator.clone()).collect();
        // Its name in this campaign, or whatever else means the same.
        let name = match names.contains(text) {
            true => text.to_owned(),
            false => resolve(text).map_or_else(|_| text.to_owned(), |one| one.name),
        };
        if !names.contains(&name) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            bail!(suggest::reject("allocator in this campaign", text, &names));
        }
        for spec in plan.runs.iter_mut().filter(|spec| spec.allocator == name) {
            spec.suppressions.push(known.clone());
        }
    }
    Ok(())
}

fn reject_unknown(table: &Table, known: &[&str]) -> Result<()> {
    match table.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => bail!(suggest::reject("key", key, known)),
        None => Ok(()),
    }
}

/// A part's plans, one for each number of threads.
fn part_plans<'a>(
    said: &impl Fn(&str) -> Option<&'a Value>,
    options: Options,
    linked: &[AllocatorEntry],
    folders: &Folders,
) -> Result<Vec<Plan>> {
    let minutes = match said("minutes") {
        None => bail!("`minutes` is missing: say how long"),
        Some(Value::Integer(minutes)) => *minutes as f64,
        Some(Value::Float(minutes)) => *minutes,
        Some(_) => bail!("`minutes` must be a number"),
    };
    ensure!((1e-3..=1e6).contains(&minutes), "`minutes` must be 0.001 to 1000000, not {minutes}");
    let threads = match said("threads") {
        None => vec![None],
        Some(threads) => numbers(threads, "threads")?
            .into_iter()
            .map(|number| match u16::try_from(number) {
                Ok(number @ 1..=512) => Ok(Some(number)),
                _ => bail!("`threads` must be 1 to 512, not {number}"),
            })
            .collect::<Result<_>>()?,
    };
    let disturb = said("disturb").map(|value| match value {
        Value::Integer(number) => u32::try_from(*number)
            .map_err(|_| anyhow!("`disturb` must be 0 to {}, not {number}", u32::MAX)),
        _ => bail!("`disturb` must be a number"),
    });
    let strings = |key: &str| said(key).map_or(Ok(Vec::new()), |value| strings(value, key));
    let options = Options {
        allocators: strings(ALLOCATORS)?,
        workloads: strings("workloads")?,
        traces: strings("traces")?.into_iter().map(PathBuf::from).collect(),
        time: Some(Duration::from_secs_f64(minutes * 60.0) / threads.len() as u32),
        disturb: disturb.transpose()?.or(options.disturb),
        ..options
    };
    threads
        .into_iter()
        .map(|threads| {
            Options { threads: threads.or(options.threads), ..options.clone() }
                .plan(linked, folders)
        })
        .collect()
}

fn strings(value: &Value, key: &str) -> Result<Vec<String>> {
    let rejected = || anyhow!("`{key}` must be a list of strings");
    let list = value.as_array().ok_or_else(rejected)?;
    list.iter().map(|one| one.as_str().map(str::to_owned).ok_or_else(rejected)).collect()
}

fn numbers(value: &Value, key: &str) -> Result<Vec<i64>> {
    let rejected = || anyhow!("`{key}` must be a list of numbers");
    match value {
        Value::Integer(number) => Ok(vec![*number]),
        Value::Array(list) if !list.is_empty() => {
            list.iter().map(|one| one.as_integer().ok_or_else(rejected)).collect()
        }
        _ => Err(rejected()),
    }
}

#[cfg(test)]
mod tests {
    use drystone_harness::fixtures;

    use super::*;
    use crate::allocators::{linked, process};

    fn plan(text: &str) -> Result<Plan> {
        let options = fixtures::options::<Options>(&["--seed", "7"]).unwrap();
        parse(text, &options, &[linked::LIST, process::SYSTEM], &fixtures::no_libraries())
    }

    /// What its user is told.
    fn said(rejected: Result<Plan>) -> String {
        format!("{:#}", rejected.unwrap_err())
    }

    #[test]
    fn a_file_is_allocators_times_workloads_times_threads() {
        let text = "
            minutes = 2
            allocators = [\"linked:list\", \"system\"]
            threads = [2, 8]
            [[part]]
            workloads = [\"churn:slots=7\", \"pareto\"]
            [[part]]
            workloads = [\"double-free\"]
            allocators = [\"linked:list\"]
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
                "linked:list, churn:slots=7 2 15",
                "linked:list, pareto 2 15",
                "system, churn:slots=7 2 15",
                "system, pareto 2 15",
                "linked:list, churn:slots=7 8 15",
                "linked:list, pareto 8 15",
                "system, churn:slots=7 8 15",
                "system, pareto 8 15",
                "linked:list, double-free 3 30",
            ]
        );
        assert!(plan.runs.iter().all(|spec| spec.seed == Seed(7)));
    }

    #[test]
    fn suppressions_are_told_to_the_runs_of_their_allocator_alone() {
        let text = "
            minutes = 1
            [[suppress]]
            allocator = \"system\"
            finding = \"misaligned\"
            call = \"aligned_alloc\"
            why = \"so\"
        ";
        for spec in plan(text).unwrap().runs {
            assert_eq!(spec.suppressions.len(), usize::from(spec.allocator == "system"), "{spec}");
        }
        let rejected = |from: &str, to: &str| said(plan(&text.replace(from, to)));
        assert!(rejected("\"system\"", "\"sytem\"").contains("Did you mean `system`?"));
        assert!(rejected("\"misaligned\"", "\"overlap\"").contains("finding that can be exempt"));
        assert!(rejected("call = ", "cal = ").contains("Did you mean `call`?"));
        assert!(rejected("why = \"so\"", "").contains("`why` must be a string"));
        assert!(rejected("[[suppress]]", "[suppress]").contains("[[suppress]]"));
    }

    #[test]
    fn files_of_before_are_read() {
        let old = "
            minutes = 1
            subjects = [\"list\"]
            workloads = [\"duel\", \"lifecycles\", \"hostile\"]
            [[known]]
            subject = \"list\"
            finding = \"misaligned\"
            call = \"malloc\"
            why = \"so\"
        ";
        let new = old
            .replace("subject", "allocator")
            .replace("[[known]]", "[[suppress]]")
            .replace("duel", "double-free")
            .replace("lifecycles", "lifecycle")
            .replace("hostile", "misuse")
            .replace("\"list\"", "\"linked:list\"");
        let (old, new) = (plan(old).unwrap().runs, plan(&new).unwrap().runs);
        assert_eq!(old, new);
        assert!(
            new.iter().all(|spec| spec.allocator == "linked:list" && spec.suppressions.len() == 1)
        );
        let twice = plan("minutes = 1\nsubjects = [\"list\"]\nallocators = [\"list\"]");
        assert!(said(twice).contains("under its old name too"));
    }

    #[test]
    fn mistyped_keys_and_names_are_rejected_with_the_suggested() {
        let rejected = |text: &str| said(plan(text));
        assert!(
            rejected("minuts = 1").contains("there is no key `minuts`. Did you mean `minutes`?")
        );
        assert!(rejected("minutes = 1\n[[part]]\nthread = 2").contains("Did you mean `threads`?"));
        assert!(
            rejected("minutes = 1\nallocators = [\"linked:lits\"]")
                .contains("Did you mean `linked:list`?")
        );
        assert!(rejected("minutes = 1\nworkloads = [\"curn\"]").contains("Did you mean `churn`?"));
        assert!(rejected("allocators = [\"list\"]").contains("`minutes` is missing"));
        assert!(rejected("minutes = \"5\"").contains("must be a number"));
        for wrong in ["0", "0.0005", "2000000", "-1", "nan"] {
            let said = rejected(&format!("minutes = {wrong}"));
            assert!(said.contains("`minutes` must be 0.001 to 1000000, not "), "{said}");
        }
        assert!(rejected("minutes = 1\nthreads = [0]").contains("1 to 512, not 0"));
        assert!(rejected("minutes = 1\nallocators = \"list\"").contains("list of strings"));
        assert!(rejected("part = 3").contains("[[part]]"));
        assert!(rejected("minutes =").contains("TOML parse error"), "{}", rejected("minutes ="));
    }
}

//! Comparisons that are run: plants in copies of the side's archive.

use anyhow::Result;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::super::options::SelftestArguments;
use super::aim::{Aim, Aimed};
use super::bench::Bench;
use super::plants::{self, Change, Plant as Kind, RING};
use super::resampled;
use crate::calibration::Rate;
use crate::decide::{Judged, Verdict};
use crate::evidence::Ended;
use crate::exit::{FINE, REGRESSION};
use crate::interrupt::{Interrupt, Interrupted};
use crate::plant::Plant;
use crate::report::{self, Told};
use crate::session::Wishes;

/// Runs the subcommand; prints a table.
///
/// # Errors
/// If the side does not build, or the file holds nothing to draw from.
pub fn run(arguments: &SelftestArguments, interrupt: &Interrupt) -> Result<u8> {
    let (title, told) = match &arguments.resample {
        Some(path) => resampled::run(path, arguments.seed)?,
        None => live(arguments, interrupt)?,
    };
    let broken = told.iter().any(Told::is_broken);
    crate::output::print(&report::selftest(&title, &told))?;
    Ok(if broken { REGRESSION } else { FINE })
}

/// Runs the plants; returns a title, and what came of each.
fn live(arguments: &SelftestArguments, interrupt: &Interrupt) -> Result<(String, Vec<Told>)> {
    let plants = plants::chosen(&arguments.plants, arguments.quick)?;
    let bench = Bench::new(&arguments.side, interrupt)?;
    let rounds = if arguments.quick { 1 } else { arguments.rounds };
    let wishes = Wishes { budget: arguments.budget, ..Wishes::default() };
    let mut seeds =
        Pcg64::seed_from_u64(Wishes { seed: arguments.seed, ..Wishes::default() }.seed());
    let compare = |plant, wishes: &Wishes| bench.evidence(plant, wishes);
    let mut aim = Aim::new(&compare);
    let mut told = Vec::new();
    for kind in plants {
        eprintln!("plant {}", kind.name);
        let tried = one(&bench, &mut aim, kind, rounds, &wishes, &mut seeds);
        match tried {
            Ok(one) => told.push(one),
            // What is known is told.
            Err(error) if error.is::<Interrupted>() && !told.is_empty() => break,
            Err(error) => return Err(error.context(format!("plant {}", kind.name))),
        }
    }
    Ok((format!("Live comparisons, of {} s each at most.", arguments.budget.as_secs()), told))
}

fn one(
    bench: &Bench,
    aim: &mut Aim,
    kind: Kind,
    rounds: u64,
    wishes: &Wishes,
    seeds: &mut Pcg64,
) -> Result<Told> {
    let plain = |plant| Aimed { plant, measures: 0.0, interval: None };
    let aimed = match kind.change {
        Change::Same | Change::Documents => plain(Plant::None),
        Change::Layout => plain(Plant::Padded),
        Change::Slower(change) => aim.slower(change)?,
        Change::Fatter(change) => aim.fatter(change)?,
        Change::Stall => plain(Plant::Stalled(20_000)),
        Change::Wrong => plain(Plant::Dirty(100)),
    };
    let mut found = 0;
    for round in 1..=rounds {
        let wishes = Wishes {
            lanes: kind.lanes.to_vec(),
            rows: rows(kind.change),
            no_identical: kind.change != Change::Documents,
            seed: Some(seeds.random()),
            ..wishes.clone()
        };
        let evidence = match kind.change {
            Change::Documents => bench.documents(&wishes)?,
            _ => bench.evidence(aimed.plant, &wishes)?,
        };
        let is_found = is_found(kind, &Judged::of(evidence));
        found += u64::from(is_found);
        eprintln!("  round {round} of {rounds}: {}", if is_found { "found" } else { "not found" });
    }
    let measures = match kind.change {
        Change::Slower(_) | Change::Fatter(_) => Some((aimed.measures, aimed.interval)),
        _ => None,
    };
    Ok(Told {
        name: kind.name.to_owned(),
        measures,
        promise: kind.promise,
        rate: Rate::of(found, rounds)?,
        note: String::new(),
    })
}

/// Few rows: a plant is looked for where it is.
fn rows(change: Change) -> Vec<String> {
    let rows: &[&str] = match change {
        Change::Slower(_) | Change::Stall => &[RING],
        Change::Fatter(_) => &["ring/16384"],
        _ => &["pair/64", RING, "bulk"],
    };
    rows.iter().map(|row| (*row).to_owned()).collect()
}

/// Whether the comparison says of the plant's kind that it is there; for no change, whether it says
/// anything.
fn is_found(kind: Kind, judged: &Judged) -> bool {
    let times = |verdicts: &[Verdict]| {
        judged.tables.rows.iter().any(|row| verdicts.contains(&row.judge.verdict()))
    };
    match kind.change {
        Change::Documents => judged.why() == Some(Ended::Identical),
        Change::Same | Change::Layout => {
            times(&[Verdict::Regressed, Verdict::Improved]) || !judged.regressions().is_empty()
        }
        Change::Slower(_) => times(&[Verdict::Regressed]),
        Change::Fatter(_) => judged.memory.iter().any(|one| one.verdict == Verdict::Regressed),
        Change::Stall => {
            judged.tables.tails.iter().any(|tail| tail.judge.verdict() == Verdict::Regressed)
        }
        Change::Wrong => !judged.new_findings().is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Promise;

    #[test]
    fn names_choose_plants_and_a_wrong_one_is_named() {
        let names = |names: &[&str], quick| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            plants::chosen(&names, quick).map(|all| all.len()).map_err(|error| error.to_string())
        };
        assert_eq!(names(&[], false), Ok(10));
        assert_eq!(names(&[], true), Ok(4));
        assert_eq!(names(&["ring", "stall"], true), Ok(5));
        assert!(names(&["rong"], false).unwrap_err().contains("`rong`"));
        let same = plants::PLANTS[0];
        assert_eq!(same.promise, Promise::AtMost(0.02));
    }
}

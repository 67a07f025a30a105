//! Comparisons that might have been, drawn from recorded processes of a side beside itself.

use std::path::Path;

use anyhow::{Result, ensure};
use rand::SeedableRng;
use rand_pcg::Pcg64;

use super::plants::RING;
use crate::calibration::Rate;
use crate::decide::median;
use crate::decide::resample::{Rules, compare};
use crate::evidence::{Evidence, Process};
use crate::report::{Promise, Told};

const COMPARISONS: u64 = 1000;

/// Processes at most in one of them.
const MOST: u32 = 300;

/// Draws them; returns a title, and what came of each change.
///
/// # Errors
/// If the file can't be read, or holds too few processes of a side beside itself.
pub fn run(path: &Path, seed: Option<u64>) -> Result<(String, Vec<Told>)> {
    let evidence = Evidence::read(path)?;
    let header = &evidence.header;
    let same = header.a.artifact == header.b.artifact;
    let all = evidence.processes().into_iter();
    let pool: Vec<Process> = all
        .filter(|process| same || process.null)
        .filter(|process| process.rows.iter().any(|row| header.is_own(&row.name)))
        .collect();
    ensure!(
        pool.len() >= 40,
        "{} holds {} processes of a side beside itself, and 40 are the fewest to draw from: \
         `cargo results calibrate` records more",
        path.display(),
        pool.len()
    );
    // A process of a library besides has none of these rows.
    let mut settings = header.settings.clone();
    settings.rows.retain(|row| header.is_own(&row.name));
    let settings = &settings;
    let rules = Rules::new(settings, MOST);
    let mut random = Pcg64::seed_from_u64(seed.unwrap_or(header.seed));
    let row = settings.rows.iter().find(|row| row.name == RING).or(settings.rows.first());
    let row = row.map_or("", |row| row.name.as_str()).to_owned();
    let mut told = Vec::new();
    let none = compare(&pool, settings, &rules, None, COMPARISONS, &mut random);
    told.push(Told {
        name: "same: any verdict".to_owned(),
        measures: None,
        promise: Promise::AtMost(0.02),
        rate: Rate::of(none.false_verdicts, none.comparisons)?,
        note: String::new(),
    });
    told.push(Told {
        name: "same: rows OK".to_owned(),
        measures: None,
        promise: Promise::AtLeast(0.95),
        rate: Rate::of(none.fine, none.rows)?,
        note: String::new(),
    });
    for (percent, least) in [(2.0, 0.35), (3.0, 0.9), (5.0, 0.99), (10.0, 0.99)] {
        let change = Some((row.as_str(), percent / 100.0));
        let some = compare(&pool, settings, &rules, change, COMPARISONS, &mut random);
        let needed: Vec<f64> = some.needed.iter().copied().map(f64::from).collect();
        let note = median(&needed).map(|n| format!("{n:.0} processes")).unwrap_or_default();
        told.push(Told {
            name: format!("{row} +{percent:.0} %"),
            measures: None,
            promise: Promise::AtLeast(least),
            rate: Rate::of(some.found, some.comparisons)?,
            note,
        });
    }
    let title = format!(
        "Resampled: {COMPARISONS} comparisons drawn from {} processes, {MOST} each at most.",
        pool.len()
    );
    Ok((title, told))
}

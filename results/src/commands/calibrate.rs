//! `results calibrate`: a side beside itself, many times: what this program sees on this machine,
//! and how often it is wrong.

use anyhow::{Result, ensure};
use rand::SeedableRng;
use rand_pcg::Pcg64;

use super::options::CalibrateArguments;
use crate::calibration::{Calibration, FORMAT, Rate, RowCalibration};
use crate::date::utc_now;
use crate::decide::resample::{Outcome, Rules, compare, smallest_found};
use crate::decide::{Sequence, median};
use crate::evidence::{Header, Lane, Process, RowPlan, Settings};
use crate::exit::{CANNOT_TELL, FINE};
use crate::interrupt::Interrupt;
use crate::lanes::Until;
use crate::report;
use crate::session::{self, Unbuilt, Wishes};

/// Fewer processes than this say too little of a machine.
const FEWEST: usize = 40;

/// Resampled comparisons.
const COMPARISONS: u64 = 1000;

/// Processes at most in a resampled comparison, whatever the budget would pay for.
const MOST: u32 = 1000;

/// Runs the subcommand; prints the calibration, and keeps it.
///
/// # Errors
/// If the side does not build, or too few processes were measured.
pub fn run(arguments: &CalibrateArguments, interrupt: &Interrupt) -> Result<u8> {
    let wishes = Wishes {
        budget: arguments.budget,
        lanes: vec![Lane::Time],
        rows: arguments.rows.clone(),
        no_identical: true,
        seed: arguments.seed,
        until: Until::Processes(arguments.processes),
        ..Wishes::default()
    };
    wishes.rows()?;
    let names = [arguments.side.clone(), arguments.side.clone()];
    let sides = Unbuilt::find(names, None)?.build(interrupt)?;
    let (evidence, path) = session::run(&sides, &wishes, interrupt)?;
    eprintln!("evidence: {path}");
    let processes = evidence.processes();
    let mut header = evidence.header;
    ensure!(
        processes.len() >= FEWEST,
        "{} processes were measured, and {FEWEST} are the fewest to go by: give it more --budget",
        processes.len()
    );
    header.settings.budget_s = arguments.for_budget.as_secs_f64();
    let calibration = calibration(&header, &processes, path)?;
    let kept = sides.home().calibration(&header.machine.name, &header.harness);
    // Of all rows only: a comparison of all rows goes by it.
    if arguments.rows.is_empty() {
        calibration.write(&kept)?;
        eprintln!("calibration: {}", kept.display());
    }
    crate::output::print(&report::calibration(&calibration))?;
    Ok(if calibration.false_verdicts.low > header.settings.error { CANNOT_TELL } else { FINE })
}

fn calibration(header: &Header, processes: &[Process], path: String) -> Result<Calibration> {
    let settings = &header.settings;
    let last = processes.last().map_or(0.0, |process| process.at_s);
    let pays = settings.budget_s / (last / processes.len() as f64).max(1e-3);
    let most = (pays as u32).clamp(1, MOST);
    let rules = Rules::new(settings, most);
    let mut random = Pcg64::seed_from_u64(header.seed);
    let none = compare(processes, settings, &rules, None, COMPARISONS, &mut random);
    let Outcome { comparisons, false_verdicts, rows, fine, .. } = none;
    let mut row = |plan: &RowPlan| row(plan, processes, settings, &rules, &mut random);
    Ok(Calibration {
        format: FORMAT.to_owned(),
        version: 1,
        made: utc_now(),
        machine: header.machine.clone(),
        harness: header.harness.clone(),
        evidence: path,
        processes: processes.len() as u32,
        budget_s: settings.budget_s,
        budget_processes: most,
        floor: settings.floor,
        margin: settings.margin,
        false_verdicts: Rate::of(false_verdicts, comparisons)?,
        fine_rows: Rate::of(fine, rows)?,
        rows: settings.rows.iter().map(&mut row).collect(),
    })
}

fn row(
    plan: &RowPlan,
    processes: &[Process],
    settings: &Settings,
    rules: &Rules,
    random: &mut Pcg64,
) -> RowCalibration {
    let measured =
        || processes.iter().flat_map(|one| &one.rows).filter(|row| row.name == plan.name);
    let values: Vec<f64> = measured().map(|row| row.value).collect();
    let middle = median(&values).unwrap_or_default();
    let away: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    let mut interval = Sequence::new((2.0 / settings.error).ln());
    values.iter().for_each(|&value| interval.push(value));
    let bound = |value: f64| value.is_finite().then_some(value);
    let (low, high) = (bound(interval.low()), bound(interval.high()));
    let pairs: u32 = measured().map(|row| row.pairs).sum();
    let dropped: u32 = measured().map(|row| row.dropped).sum();
    let mut found = |power| {
        (!values.is_empty()).then(|| smallest_found(&values, rules, power, random)).flatten()
    };
    RowCalibration {
        name: plan.name.clone(),
        processes: values.len() as u32,
        median: middle,
        low,
        high,
        // Of a normal distribution this is the standard deviation (Hampel 1974).
        spread: 1.4826 * median(&away).unwrap_or_default(),
        floor: low.zip(high).map(|(low, high)| low.abs().max(high.abs())),
        bimodal: is_bimodal(&values),
        pairs: plan.pairs,
        slice_us: plan.slice_us,
        dropped: f64::from(dropped) / f64::from((pairs + dropped).max(1)),
        sees_80: found(0.8),
        sees_95: found(0.95),
    }
}

/// Sarle's coefficient, (skewness² + 1) / kurtosis with the corrections for small samples, against
/// 5/9, which is that of a uniform distribution. Source: SAS/STAT User's Guide, the CLUSTER
/// procedure; R. Pfister and others, "Good things peak in pairs", *Frontiers in Psychology* 4
/// (2013). One far value would be skewness enough, so a hundredth is cut off at each end.
fn is_bimodal(values: &[f64]) -> bool {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let cut = values.len() / 100 + 1;
    let Some(values) = values.get(cut..values.len().saturating_sub(cut)) else { return false };
    let n = values.len() as f64;
    if n < 10.0 {
        return false;
    }
    let mean = values.iter().sum::<f64>() / n;
    let moment = |k: i32| values.iter().map(|value| (value - mean).powi(k)).sum::<f64>() / n;
    let (m2, m3, m4) = (moment(2), moment(3), moment(4));
    if m2 <= 0.0 {
        return false;
    }
    let skewness = m3 / m2.powf(1.5) * (n * (n - 1.0)).sqrt() / (n - 2.0);
    let excess = (n - 1.0) / ((n - 2.0) * (n - 3.0)) * ((n + 1.0) * (m4 / (m2 * m2) - 3.0) + 6.0);
    let kurtosis = excess + 3.0 * (n - 1.0) * (n - 1.0) / ((n - 2.0) * (n - 3.0));
    (skewness * skewness + 1.0) / kurtosis > 5.0 / 9.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::fixtures::{header, process};

    #[test]
    fn two_heaps_are_two_and_one_is_one() {
        let noise = |at: usize| (at as f64 * 0.618_034).fract() - 0.5;
        let two: Vec<f64> = (0..200).map(|at| noise(at) * 0.2 + (at % 2) as f64).collect();
        // A sum of three is near a bell.
        let one: Vec<f64> =
            (0..200).map(|at| noise(at) + noise(at * at + 7) + noise(at * 31 + 1)).collect();
        assert!(is_bimodal(&two));
        assert!(!is_bimodal(&one));
        assert!(!is_bimodal(&[1.0; 30]) && !is_bimodal(&[]));
    }

    #[test]
    fn a_calibration_of_quiet_rows_sees_small_changes_and_errs_never() {
        let processes: Vec<Process> = (1..=100u32)
            .map(|number| {
                let noise = ((f64::from(number) * 0.618).fract() - 0.5) * 0.02;
                process(number, &[("pair/64", noise), ("bulk", -noise)])
            })
            .collect();
        let header = header(&["pair/64", "bulk"]);
        let made = calibration(&header, &processes, "e".to_owned()).unwrap();
        // A process a second, and 300 seconds.
        assert_eq!((made.processes, made.budget_processes), (100, 300));
        assert_eq!(made.false_verdicts.found, 0);
        assert!(made.fine_rows.low > 0.99, "{made:?}");
        let row = &made.rows[0];
        assert!((0.005..0.01).contains(&row.spread), "{row:?}");
        assert!(row.sees_95.unwrap() < 0.025 && row.sees_80.unwrap() > 0.01, "{row:?}");
    }
}

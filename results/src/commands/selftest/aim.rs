//! How strong a plant must be. Cycles say nothing of time: two turns of a loop made one row faster.
//! So each plant is measured, and then called by the change that it measured.

use anyhow::{Context, Result, bail};

use super::live::Bench;
use super::plants::RING;
use crate::decide::{Sequence, median};
use crate::evidence::{Lane, Line};
use crate::lanes::Until;
use crate::plant::Plant;
use crate::session::Wishes;

/// Processes of a measurement that aims.
const PROCESSES: u32 = 24;

/// A plant that was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aimed {
    /// The plant.
    pub plant: Plant,
    /// The fraction that it changes its figure by.
    pub measures: f64,
    /// The ends of the interval of that; none if it was not of time.
    pub interval: Option<[f64; 2]>,
}

/// A loop that makes the ring `change` slower: by the slope of a long one, then corrected once.
///
/// # Errors
/// If a comparison fails, or the loop makes nothing slower.
pub fn slower(bench: &Bench, change: f64) -> Result<Aimed> {
    const LONG: u32 = 200;
    let slope = match bench.slope.get() {
        Some(slope) => slope,
        None => {
            let long = ring(bench, LONG)?.measures.ln_1p() / f64::from(LONG);
            if long <= 0.0 {
                bail!("a loop of {LONG} turns makes {RING} no slower: the machine is too busy");
            }
            bench.slope.set(Some(long));
            long
        }
    };
    let turns = |slope: f64| (change.ln_1p() / slope).round().max(1.0) as u32;
    let first = ring(bench, turns(slope))?;
    let Plant::Turns(number) = first.plant else { return Ok(first) };
    let again = first.measures.ln_1p() / f64::from(number);
    // Within a tenth: the measurement itself is no better.
    if (first.measures - change).abs() <= change / 10.0 || again <= 0.0 {
        return Ok(first);
    }
    ring(bench, turns(again))
}

fn ring(bench: &Bench, turns: u32) -> Result<Aimed> {
    let plant = Plant::Turns(turns);
    let wishes = Wishes {
        lanes: vec![Lane::Time],
        rows: vec![RING.to_owned()],
        until: Until::Processes(PROCESSES),
        no_identical: true,
        ..Wishes::default()
    };
    let evidence = bench.evidence(plant, &wishes)?;
    let values: Vec<f64> = super::super::calibrate::processes(evidence.lines)
        .iter()
        .flat_map(|process| process.rows.iter().map(|row| row.value))
        .collect();
    let mut interval = Sequence::new((2.0f64 / 0.05).ln());
    values.iter().for_each(|&value| interval.push(value));
    let measures = median(&values).context("nothing was measured")?.exp_m1();
    let interval = [interval.low().exp_m1(), interval.high().exp_m1()];
    Ok(Aimed { plant, measures, interval: Some(interval) })
}

/// Blocks of double size, often enough that the peak of some workload grows by `change` at least:
/// more of them until it does.
///
/// # Errors
/// If a comparison fails, or no number of them does.
pub fn fatter(bench: &Bench, change: f64) -> Result<Aimed> {
    let wishes = Wishes { lanes: vec![Lane::Memory], no_identical: true, ..Wishes::default() };
    let wishes = Wishes { rows: vec!["ring/16384".to_owned()], ..wishes };
    let mut every = (1.0 / change) as u32;
    while every >= 2 {
        let plant = Plant::Doubled(every);
        let measures = growth(&bench.evidence(plant, &wishes)?.lines)?;
        if measures >= change {
            return Ok(Aimed { plant, measures, interval: None });
        }
        every = every * 4 / 5;
    }
    bail!("blocks of double size make no heap larger")
}

/// By how much the median peak of B exceeds that of A.
fn growth(lines: &[Line]) -> Result<f64> {
    let peaks = |side: char| {
        let of = |line: &Line| match line {
            Line::Memory(memory) if memory.side == side => {
                memory.rows.values().next().map(|row| row.peak_kib as f64)
            }
            _ => None,
        };
        median(&lines.iter().filter_map(of).collect::<Vec<_>>()).context("no memory was measured")
    };
    Ok(peaks('b')? / peaks('a')? - 1.0)
}

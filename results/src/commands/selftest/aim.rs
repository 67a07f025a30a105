//! How strong a plant must be. Cycles say nothing of time: two turns of a loop made one row faster.
//! So each plant is measured, and then called by the change that it measured.

use anyhow::{Context, Result, bail};

use super::plants::RING;
use crate::decide::{Sequence, median};
use crate::evidence::{Evidence, Lane, Line};
use crate::lanes::Until;
use crate::plant::Plant;
use crate::session::Wishes;

/// Processes of a measurement that aims, for a tenth of a second each. With 24 the interval of a
/// plant of 2 % was some 6 % wide, and one called 5 % measured less than one called 3 %.
const PROCESSES: u32 = 160;

/// How often a plant's strength is corrected at most.
const CORRECTIONS: u32 = 3;

/// The turns that make the ring `change` slower, where one does so by `slope`, a logarithm.
fn turns(change: f64, slope: f64) -> u32 {
    (change.ln_1p() / slope).round().max(1.0) as u32
}

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

/// Compares a copy with a plant with one without.
type Compare<'a> = &'a dyn Fn(Plant, &Wishes) -> Result<Evidence>;

/// Measures plants.
pub struct Aim<'a> {
    compare: Compare<'a>,
    /// By how much one turn of the loop slows the ring, as a logarithm, once it is known.
    slope: Option<f64>,
}

impl<'a> Aim<'a> {
    /// By way of this comparison.
    pub fn new(compare: Compare<'a>) -> Self {
        Self { compare, slope: None }
    }

    /// A loop that makes the ring `change` slower: by the slope of a long one, then corrected by
    /// what each of the next measures. The processor hides a part of a short loop, so one
    /// correction is not enough: a plant of 2 % measured 1.0 % after it.
    ///
    /// # Errors
    /// If a comparison fails, or the loop makes nothing slower.
    pub fn slower(&mut self, change: f64) -> Result<Aimed> {
        const LONG: u32 = 200;
        let slope = match self.slope {
            Some(slope) => slope,
            None => self.ring(LONG)?.measures.ln_1p() / f64::from(LONG),
        };
        if slope <= 0.0 {
            bail!("a loop of {LONG} turns makes {RING} no slower: the machine is too busy");
        }
        self.slope = Some(slope);
        let off = |aimed: &Aimed| (aimed.measures - change).abs();
        let mut number = turns(change, slope);
        let mut best = self.ring(number)?;
        let mut last = best;
        for _ in 0..CORRECTIONS {
            let slope = last.measures.ln_1p() / f64::from(number);
            let next = turns(change, slope);
            // Within a tenth the measurement itself is no better.
            if off(&best) <= change / 10.0 || slope <= 0.0 || next == number {
                break;
            }
            number = next;
            last = self.ring(number)?;
            if off(&last) < off(&best) {
                best = last;
            }
        }
        Ok(best)
    }

    fn ring(&self, turns: u32) -> Result<Aimed> {
        let plant = Plant::Turns(turns);
        let wishes = Wishes {
            lanes: vec![Lane::Time],
            rows: vec![RING.to_owned()],
            until: Until::Processes(PROCESSES),
            no_identical: true,
            ..Wishes::default()
        };
        let processes = (self.compare)(plant, &wishes)?.processes();
        let rows = processes.iter().flat_map(|process| &process.rows);
        let values: Vec<f64> = rows.map(|row| row.value).collect();
        let mut interval = Sequence::new((2.0f64 / 0.05).ln());
        values.iter().for_each(|&value| interval.push(value));
        let measures = median(&values).context("nothing was measured")?.exp_m1();
        let interval = [interval.low().exp_m1(), interval.high().exp_m1()];
        Ok(Aimed { plant, measures, interval: Some(interval) })
    }

    /// Blocks of double size, often enough that the peak of a workload grows by `change` at least:
    /// more of them until it does.
    ///
    /// # Errors
    /// If a comparison fails, or no number of them does.
    pub fn fatter(&self, change: f64) -> Result<Aimed> {
        let wishes = Wishes {
            lanes: vec![Lane::Memory],
            rows: vec!["ring/16384".to_owned()],
            no_identical: true,
            ..Wishes::default()
        };
        let mut every = (1.0 / change) as u32;
        while every >= 2 {
            let plant = Plant::Doubled(every);
            let measures = growth(&(self.compare)(plant, &wishes)?.lines)?;
            if measures >= change {
                return Ok(Aimed { plant, measures, interval: None });
            }
            every = every * 4 / 5;
        }
        bail!("blocks of double size make no heap larger")
    }
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

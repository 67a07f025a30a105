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

/// Turns of the loop that is measured first.
const LONG: u32 = 200;

fn whole(turns: f64) -> u32 {
    turns.round().max(1.0) as u32
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
    /// By how much [`LONG`] turns slow the ring, as a logarithm, once it is known.
    long: Option<f64>,
}

impl<'a> Aim<'a> {
    /// By way of this comparison.
    pub fn new(compare: Compare<'a>) -> Self {
        Self { compare, long: None }
    }

    /// A loop that makes the ring `change` slower: by the slope of a long one, then corrected by
    /// what each of the next measures, along the line through the last two: the processor hides a
    /// part of a loop. With one correction a plant of 2 % measured 1.0 %. What it measures is
    /// measured anew at the end: the best of several would flatter it.
    ///
    /// # Errors
    /// If a comparison fails, or the loop makes nothing slower.
    pub fn slower(&mut self, change: f64) -> Result<Aimed> {
        let long = match self.long {
            Some(long) => long,
            None => self.ring(LONG)?.measures.ln_1p(),
        };
        if long <= 0.0 {
            bail!("a loop of {LONG} turns makes {RING} no slower: the machine is too busy");
        }
        self.long = Some(long);
        let wanted = change.ln_1p();
        let mut before = (f64::from(LONG), long);
        let mut turns = whole(wanted * f64::from(LONG) / long);
        let mut best = (f64::INFINITY, turns);
        for _ in 0..=CORRECTIONS {
            let measured = self.ring(turns)?.measures.ln_1p();
            let off = (measured - wanted).abs();
            if off < best.0 {
                best = (off, turns);
            }
            let now = (f64::from(turns), measured);
            let slope = (now.1 - before.1) / (now.0 - before.0);
            let next = now.0 + (wanted - now.1) / slope;
            // Two short loops may measure alike, and the line through them lead anywhere.
            let next = whole(next.clamp(now.0 / 3.0, now.0 * 3.0));
            if off <= wanted / 10.0 || !slope.is_finite() || slope <= 0.0 || next == turns {
                break;
            }
            (before, turns) = (now, next);
        }
        self.ring(best.1)
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

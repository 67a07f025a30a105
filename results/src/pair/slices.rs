//! Taking turns: pairs of slices, A and B in random order within each, and the one value they give.

use anyhow::{Result, ensure};
use rand::{Rng, RngExt};

use super::clock::Spent;
use super::rows::Prepared;
use crate::evidence::{Row, RowPlan};

/// Slices before the first that counts, on each side: caches, page tables and heaps settle.
const WARM_UP: u32 = 6;

/// Measures a row.
///
/// # Errors
/// If half of the pairs or more have a slice that took no time: the clock is broken, or the row
/// does nothing.
pub fn measure(plan: &RowPlan, row: &mut Prepared<2>, random: &mut impl Rng) -> Result<Row> {
    let first = usize::from(random.random::<bool>());
    let operations = match row.operations {
        Some(operations) => operations,
        None => fill(row, first, plan.slice_us),
    };
    let warm_up = if row.operations.is_some() { plan.pairs } else { WARM_UP.min(plan.pairs) };
    for _ in 0..warm_up {
        for side in [first, 1 - first] {
            row.sides[side].run(operations);
        }
    }
    let mut pairs = Vec::new();
    for _ in 0..plan.pairs {
        let first = usize::from(random.random::<bool>());
        let mut pair = [Spent::default(); 2];
        for side in [first, 1 - first] {
            pair[side] = row.sides[side].run(operations);
        }
        pairs.push(pair);
    }
    summary(&plan.name, pairs, row.threads)
}

/// Operations that take `slice_us` of processor time on this side: doubled until the fastest of
/// three takes a fifth of it, then scaled.
fn fill(row: &mut Prepared<2>, side: usize, slice_us: f64) -> u64 {
    let wanted = slice_us * 1e3;
    let mut n = 1u64;
    loop {
        let spent = (0..3).map(|_| row.sides[side].run(n));
        let per_operation =
            spent.map(|s| s.cpu as f64 / s.operations as f64).fold(f64::INFINITY, f64::min);
        let whole = per_operation * n as f64;
        if whole >= wanted / 5.0 || n >= 1 << 30 {
            return ((wanted / per_operation.max(1e-3)).round() as u64).max(1);
        }
        n *= 2;
    }
}

/// Slices that took no time are dropped with their partner: where a hypervisor takes a processor
/// away, the system may count a short slice as all stolen. So are those of rows without threads
/// that met a context switch, unless that would leave less than half: their caches were somebody
/// else's meanwhile.
fn summary(name: &str, mut pairs: Vec<[Spent; 2]>, threads: bool) -> Result<Row> {
    let switches = pairs.iter().flatten().map(|spent| spent.switches).sum();
    let all = pairs.len();
    let took = |spent: &Spent| spent.cpu > 0 && spent.wall > 0 && spent.operations > 0;
    pairs.retain(|pair| pair.iter().all(took));
    ensure!(pairs.len() * 2 > all, "slices of `{name}` took no time");
    let still: Vec<[Spent; 2]> =
        pairs.iter().copied().filter(|pair| pair.iter().all(|spent| spent.switches == 0)).collect();
    let counted = if !threads && still.len() * 2 >= all { still } else { pairs };
    let per_operation =
        |spent: &Spent, time: fn(&Spent) -> u64| time(spent) as f64 / spent.operations as f64;
    let cpu: fn(&Spent) -> u64 = |spent| spent.cpu;
    let wall: fn(&Spent) -> u64 = |spent| spent.wall;
    let ratio = |time| {
        median(counted.iter().map(|[a, b]| (per_operation(b, time) / per_operation(a, time)).ln()))
    };
    let ns = |side: usize| median(counted.iter().map(|pair| per_operation(&pair[side], cpu)));
    Ok(Row {
        name: name.to_owned(),
        value: ratio(cpu),
        wall: ratio(wall),
        ns: [ns(0), ns(1)],
        pairs: counted.len() as u32,
        dropped: (all - counted.len()) as u32,
        switches,
        tails: None,
    })
}

/// The middle one, or the mean of both. Of at least one value.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let n = values.len();
    (values[(n - 1) / 2] + values[n / 2]) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(cpu: u64, operations: u64, switches: u64) -> Spent {
        Spent { operations, cpu, wall: 2 * cpu, switches }
    }

    #[test]
    fn the_value_is_the_median_ratio_per_operation() {
        let pairs = [[100, 110], [200, 260], [100, 90]];
        let pairs = pairs.map(|[a, b]| [spent(a, 10, 0), spent(b, 10, 0)]);
        let row = summary("x", pairs.to_vec(), false).unwrap();
        assert!((row.value - 1.1f64.ln()).abs() < 1e-12);
        assert_eq!((row.ns, row.pairs, row.dropped), ([10.0, 11.0], 3, 0));
    }

    #[test]
    fn a_pair_with_a_switch_is_dropped_while_half_remain() {
        let quiet = [spent(100, 10, 0), spent(100, 10, 0)];
        let torn = [spent(100, 10, 0), spent(900, 10, 1)];
        let row = summary("x", vec![quiet, torn, quiet], false).unwrap();
        assert_eq!((row.pairs, row.dropped, row.switches, row.value), (2, 1, 1, 0.0));
        let row = summary("x", vec![quiet, torn, torn], false).unwrap();
        assert_eq!((row.pairs, row.dropped), (3, 0));
        let row = summary("x", vec![quiet, torn, quiet], true).unwrap();
        assert_eq!((row.pairs, row.dropped), (3, 0), "threads switch in every slice");
    }

    #[test]
    fn a_slice_that_took_no_time_is_dropped_and_half_of_them_are_an_error() {
        let whole = [spent(100, 10, 0), spent(100, 10, 0)];
        let stolen = [spent(100, 10, 0), spent(0, 10, 0)];
        let row = summary("x", vec![whole, stolen, whole], true).unwrap();
        assert_eq!((row.pairs, row.dropped, row.value), (2, 1, 0.0));
        let error = summary("x", vec![whole, stolen], false).unwrap_err().to_string();
        assert_eq!(error, "slices of `x` took no time");
    }
}

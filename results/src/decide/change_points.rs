//! Where a series changes its level. Source: D. S. Matteson, N. A. James, "A nonparametric approach
//! for multiple change point analysis of multivariate data", *Journal of the American Statistical
//! Association* 109 (2014): the split with the largest energy distance between its sides, kept if
//! few shuffled series have one as large; then each side again. As MongoDB and Apache Otava use it.
//!
//! Five points a side at least, so that a single spike is none. Several changes near each other may
//! be told as one. It looks at history, and is no test of a change: nothing may be gated by it.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;

/// Points a side at least.
const LEAST: usize = 5;

/// Shuffles: with none of 499 as large, the chance of a false change is 1 in 500.
const SHUFFLES: usize = 499;

/// The indices at which a new level begins.
pub fn change_points(values: &[f64]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut waiting = vec![(0, values.len())];
    while let Some((from, to)) = waiting.pop() {
        let part = &values[from..to];
        let Some((at, distance)) = split(part) else { continue };
        // The same series, the same answer.
        let mut random = Pcg64::seed_from_u64(from as u64 ^ (to as u64) << 32);
        let mut shuffled = part.to_vec();
        let larger = (0..SHUFFLES).any(|_| {
            shuffled.shuffle(&mut random);
            split(&shuffled).is_some_and(|(_, other)| other >= distance)
        });
        if !larger {
            found.push(from + at);
            waiting.extend([(from, from + at), (from + at, to)]);
        }
    }
    found.sort_unstable();
    found
}

/// The best split and its weighted energy distance: n·m/(n+m) · (2·E|X−Y| − E|X−X'| − E|Y−Y'|).
fn split(values: &[f64]) -> Option<(usize, f64)> {
    let n = values.len();
    let best = (LEAST..=n.saturating_sub(LEAST)).map(|at| (at, energy(values, at)));
    best.max_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, distance)| *distance > 0.0)
}

fn energy(values: &[f64], at: usize) -> f64 {
    let (left, right) = values.split_at(at);
    let sum = |xs: &[f64], ys: &[f64]| -> f64 {
        xs.iter().map(|x| ys.iter().map(|y| (x - y).abs()).sum::<f64>()).sum()
    };
    let (n, m) = (left.len() as f64, right.len() as f64);
    let between = 2.0 * sum(left, right) / (n * m);
    let within = |xs: &[f64], n: f64| sum(xs, xs) / (n * (n - 1.0));
    n * m / (n + m) * (between - within(left, n) - within(right, m))
}

#[cfg(test)]
mod tests {
    use super::change_points;

    fn noise(at: usize) -> f64 {
        (at as f64 * 0.618_034).fract() - 0.5
    }

    #[test]
    fn a_step_is_found_where_it_is_and_a_spike_is_none() {
        let step: Vec<f64> =
            (0..40).map(|at| noise(at) + if at < 23 { 0.0 } else { 3.0 }).collect();
        assert_eq!(change_points(&step), [23]);
        let spike: Vec<f64> =
            (0..40).map(|at| noise(at) + if at == 20 { 30.0 } else { 0.0 }).collect();
        assert_eq!(change_points(&spike), [0; 0]);
        let still: Vec<f64> = (0..40).map(noise).collect();
        assert_eq!(change_points(&still), [0; 0]);
        assert_eq!(change_points(&step[..9]), [0; 0], "too few");
    }

    #[test]
    fn two_steps_are_two() {
        let level = |at: usize| [0.0, 4.0, 1.0][at / 15];
        let steps: Vec<f64> = (0..45).map(|at| noise(at) + level(at)).collect();
        assert_eq!(change_points(&steps), [15, 30]);
    }
}

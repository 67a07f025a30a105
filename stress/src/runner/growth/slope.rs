//! Whether memory grows under a constant live set: a slope with its confidence, not two points.
//!
//! The slope is Theil's and Sen's: the median of the slopes between all pairs of points. Its bounds
//! are those of Sen, "Estimates of the Regression Coefficient Based on Kendall's Tau", 1968: of the
//! `N` sorted slopes those at ranks `(N ± C)/2`, `C = z · √(n(n − 1)(2n + 5)/18)`. They suppose no
//! distribution, and the slope bears up to 29.3 % of wild points (its breakdown point, 1 − 1/√2:
//! Rousseeuw and Leroy 1987).
//!
//! An allocator may grow at first, and wander: only what has grown on in every quarter of the time
//! is a finding.

use crate::model::sample::Sample;

/// The normal quantile of 99 % confidence, both sides.
const Z: f64 = 2.576;
/// A slope through fewer has no bounds.
const LEAST_POINTS: usize = 7;
/// The samples are averaged to so many points; the number of slopes grows with its square.
const POINTS: usize = 80;
/// The share of the time at the beginning that is left out: memory is filled first.
const WARM_UP: f64 = 0.2;
/// Growth that is worth a finding: a share of what was resident, and no less than these bytes.
const SHARE: f64 = 0.1;
const LEAST_BYTES: f64 = (1 << 20) as f64;
/// The live set is constant if it can't have grown by more than this share of what the resident set
/// did.
const LIVE_SHARE: f64 = 0.25;

/// A straight line's slope through points, per unit of the first coordinate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// The best guess.
    pub middle: f64,
    /// 99 % confidence: not less than this.
    pub least: f64,
    /// Nor more than this.
    pub most: f64,
}

/// The slope through points with distinct first coordinates; none through fewer than seven.
pub fn slope(points: &[(f64, f64)]) -> Option<Slope> {
    let n = points.len();
    if n < LEAST_POINTS {
        return None;
    }
    let pairs = points.iter().enumerate();
    let mut slopes: Vec<f64> = pairs
        .flat_map(|(index, (x, y))| points[index + 1..].iter().map(move |(u, v)| (v - y) / (u - x)))
        .collect();
    slopes.sort_unstable_by(f64::total_cmp);
    let (n, count) = (n as f64, slopes.len());
    let c = Z * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let at = |rank: f64| slopes[(rank.max(0.0) as usize).min(count - 1)];
    let middle = (slopes[(count - 1) / 2] + slopes[count / 2]) / 2.0;
    let half = count as f64 / 2.0;
    Some(Slope { middle, least: at((half - c / 2.0).floor()), most: at((half + c / 2.0).ceil()) })
}

/// Memory that grows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Bytes per second.
    pub slope: Slope,
    /// Bytes per second that the live set has grown at most.
    pub live_at_most: f64,
    /// For how many seconds it was watched, the beginning left out.
    pub seconds: f64,
    /// Resident bytes at the beginning of those.
    pub resident: f64,
}

/// Whether the resident set of one process, which these samples are of, grows though its live set
/// does not. `enough` is the least number of seconds that tell.
pub fn growth(samples: &[Sample], enough: f64) -> Option<Growth> {
    let (first, last) = (samples.first()?.seconds, samples.last()?.seconds);
    let from = first + (last - first) * WARM_UP;
    let rest: Vec<&Sample> = samples.iter().filter(|sample| sample.seconds >= from).collect();
    if rest.len() < 4 * LEAST_POINTS || last - first < enough {
        return None;
    }
    let line = |bytes: fn(&Sample) -> f64| points(&rest, bytes);
    // What of the harness's memory is not resident does not change the slope.
    let resident = line(|sample| sample.process_bytes as f64 - sample.harness_bytes as f64);
    let live = line(|sample| sample.live_bytes as f64);
    let (slope, live) = (slope(&resident)?, self::slope(&live)?);
    let seconds = last - from;
    let grown = slope.least * seconds;
    let at_first = resident.first()?.1;
    let at = |quarter: usize| quarter * resident.len() / 4;
    let in_every_quarter = (0..4).all(|quarter| {
        let part = &resident[at(quarter)..at(quarter + 1)];
        self::slope(part).is_some_and(|one| one.middle > 0.0)
    });
    let found = grown > (at_first * SHARE).max(LEAST_BYTES)
        && live.most <= slope.least * LIVE_SHARE
        && in_every_quarter;
    found.then_some(Growth { slope, live_at_most: live.most, seconds, resident: at_first })
}

/// Means of neighbouring samples: time and bytes.
fn points(samples: &[&Sample], bytes: fn(&Sample) -> f64) -> Vec<(f64, f64)> {
    let group = samples.len().div_ceil(POINTS);
    samples
        .chunks(group)
        .map(|group| {
            let mean = |of: &dyn Fn(&Sample) -> f64| {
                group.iter().map(|sample| of(sample)).sum::<f64>() / group.len() as f64
            };
            (mean(&|sample| sample.seconds), mean(&|sample| bytes(sample)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use drystone_workloads::mixed::generator;
    use drystone_workloads::sizes::below;
    use proptest::prelude::*;

    const MIB: f64 = (1 << 20) as f64;

    /// 600 samples, one a second, of what `resident` and `live` say in MiB, with noise of `noise`
    /// MiB.
    fn watched(
        seed: u64,
        noise: u64,
        resident: impl Fn(f64) -> f64,
        live: impl Fn(f64) -> f64,
    ) -> Vec<Sample> {
        let mut rng = generator(seed, 0);
        (0..600u32)
            .map(|second| {
                let mut bytes = |mib: f64| (mib * MIB) as u64 + below(&mut rng, (noise << 20) + 1);
                let seconds = f64::from(second);
                let (process_bytes, live_bytes) = (bytes(resident(seconds)), bytes(live(seconds)));
                Sample { seconds, process_bytes, live_bytes, ..Sample::default() }
            })
            .collect()
    }

    /// Where the warm-up of so many samples ends.
    fn one_fifth(samples: usize) -> f64 {
        (samples as f64 - 1.0) / 5.0
    }

    #[test]
    fn the_slope_is_the_published_one() {
        // Sen 1968, p. 1386: the example of his section 5.
        let points = [
            (1.0, 9.0),
            (2.0, 15.0),
            (3.0, 19.0),
            (4.0, 20.0),
            (10.0, 45.0),
            (12.0, 55.0),
            (18.0, 78.0),
        ];
        let found = slope(&points).unwrap();
        assert!((found.middle - 4.0).abs() < 1e-9, "{found:?}");
        assert!(found.least <= found.middle && found.middle <= found.most);
        assert_eq!(slope(&points[..6]), None);
    }

    #[test]
    fn what_grows_on_is_found_with_its_slope() {
        let found = growth(&watched(1, 4, |t| 100.0 + t / 10.0, |_| 80.0), 60.0).unwrap();
        let per_second = found.slope.middle / MIB;
        assert!((0.09..0.11).contains(&per_second), "{per_second} MiB a second");
        assert!(found.slope.least > 0.0 && found.slope.least < found.slope.middle);
    }

    #[test]
    fn what_is_level_or_levels_off_or_follows_the_live_set_is_not() {
        let level = watched(2, 20, |_| 100.0, |_| 80.0);
        let levels_off = watched(3, 2, |t| 200.0 - 100.0 * (-t / 60.0).exp(), |_| 80.0);
        let follows = watched(4, 4, |t| 100.0 + t / 10.0, |t| 80.0 + t / 10.0);
        let teeth = watched(5, 4, |t| 100.0 + t % 37.0, |_| 80.0);
        let one_step = watched(6, 4, |t| if t < 300.0 { 100.0 } else { 180.0 }, |_| 80.0);
        for (name, samples) in [
            ("level", level),
            ("levels off", levels_off),
            ("follows", follows),
            ("teeth", teeth),
            ("one step", one_step),
        ] {
            assert_eq!(growth(&samples, 60.0), None, "{name}");
        }
    }

    #[test]
    fn too_short_a_time_tells_nothing() {
        let samples = watched(1, 4, |t| 100.0 + t, |_| 80.0);
        assert_eq!(growth(&samples[..50], 60.0), None);
        assert!(growth(&samples[..120], 60.0).is_some());
        // However few samples there are, from the least that tell on, each quarter has enough.
        for seconds in 0..120 {
            let enough = samples[..seconds].iter().filter(|one| one.seconds >= one_fifth(seconds));
            assert_eq!(
                growth(&samples[..seconds], 0.0).is_some(),
                enough.count() >= 28,
                "{seconds}"
            );
        }
        assert_eq!(growth(&[], 0.0), None);
    }

    proptest! {
        #[test]
        fn noise_alone_is_never_a_finding(seed: u64, noise in 1u64..64) {
            prop_assert_eq!(growth(&watched(seed, noise, |_| 64.0, |_| 40.0), 60.0), None);
        }
    }
}

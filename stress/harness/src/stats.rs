//! Medians, quartiles, geometric means.

/// The quantile of order `order` (0 to 1) by linear interpolation between the two nearest values:
/// method 7 of Hyndman and Fan (The American Statistician 50(4), 1996), which R and NumPy use by
/// default. None of no values.
///
/// # Panics
/// If `order` is outside 0 to 1.
pub fn quantile(values: &[f64], order: f64) -> Option<f64> {
    assert!((0.0..=1.0).contains(&order), "a quantile's order is 0 to 1");
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = order * sorted.len().checked_sub(1)? as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    Some(below + (above - below) * place.fract())
}

/// The middle value, or the mean of the middle two. None of no values.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// How far the middle half of `ratios` reaches: upper quartile over lower, less one. None of fewer
/// than three.
pub fn spread(ratios: &[f64]) -> Option<f64> {
    if ratios.len() < 3 {
        return None;
    }
    Some(quantile(ratios, 0.75)? / quantile(ratios, 0.25)? - 1.0)
}

/// The least and the greatest value. None of no values.
pub fn apart(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let wider = |(least, most): (f64, f64), value: f64| (least.min(value), most.max(value));
    values.into_iter().map(|value| (value, value)).reduce(|ends, (value, _)| wider(ends, value))
}

/// The geometric mean of positive values. None of no values.
pub fn geometric_mean(values: &[f64]) -> Option<f64> {
    let logarithms: f64 = values.iter().map(|value| value.ln()).sum();
    (!values.is_empty()).then(|| (logarithms / values.len() as f64).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn near(one: Option<f64>, other: f64) {
        let one = one.expect("there are values");
        assert!((one - other).abs() <= 1e-9 * other.abs(), "{one} is not {other}");
    }

    #[test]
    fn medians_of_odd_and_even_numbers_of_values() {
        near(median(&[3.0, 1.0, 2.0]), 2.0);
        near(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[]), None);
    }

    /// R: `quantile(c(6, 7, 15, 36, 39, 40, 41, 42, 43, 47, 49), type = 7)`, the data of
    /// Wikipedia's article "Quartile", whose second method agrees at 11 values.
    #[test]
    fn quartiles_are_those_of_a_published_example() {
        let values = [6.0, 7.0, 15.0, 36.0, 39.0, 40.0, 41.0, 42.0, 43.0, 47.0, 49.0];
        near(quantile(&values, 0.25), 25.5);
        near(quantile(&values, 0.5), 40.0);
        near(quantile(&values, 0.75), 42.5);
        near(quantile(&values, 0.0), 6.0);
        near(quantile(&values, 1.0), 49.0);
    }

    #[test]
    fn the_spread_is_of_the_middle_half() {
        near(spread(&[1.0, 0.5, 9.0, 1.1, 0.9]), 1.1 / 0.9 - 1.0);
        assert_eq!(spread(&[1.0, 1.0]), None);
        assert_eq!(spread(&[1.0; 7]), Some(0.0));
    }

    #[test]
    fn the_ends_of_values() {
        assert_eq!(apart([3.0, 1.0, 2.0]), Some((1.0, 3.0)));
        assert_eq!(apart([2.0]), Some((2.0, 2.0)));
        assert_eq!(apart([]), None);
    }

    #[test]
    fn the_geometric_mean_of_a_known_sequence() {
        near(geometric_mean(&[1.0, 2.0, 4.0, 8.0, 16.0]), 4.0);
        near(geometric_mean(&[0.5, 2.0]), 1.0);
        assert_eq!(geometric_mean(&[]), None);
    }

    proptest! {
        #[test]
        fn a_ratio_of_means_is_the_mean_of_ratios(
            pairs in proptest::collection::vec((0.01_f64..100.0, 0.01_f64..100.0), 1..30)
        ) {
            let (ones, others): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
            let ratios: Vec<f64> = pairs.iter().map(|(one, other)| one / other).collect();
            let quotient = geometric_mean(&ones).unwrap() / geometric_mean(&others).unwrap();
            prop_assert!((geometric_mean(&ratios).unwrap() / quotient - 1.0).abs() < 1e-9);
        }

        #[test]
        fn quantiles_lie_within_the_values_and_rise(
            values in proptest::collection::vec(-1e6_f64..1e6, 1..40),
            one in 0.0..=1.0,
            other in 0.0..=1.0
        ) {
            let (low, high) = if one < other { (one, other) } else { (other, one) };
            let (low, high) = (quantile(&values, low).unwrap(), quantile(&values, high).unwrap());
            let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
            let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(smallest <= low && low <= high && high <= largest);
        }
    }
}

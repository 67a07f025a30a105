//! The exact distribution of the Mann–Whitney statistic.
//!
//! U is the number of pairs (x, y) with y below x, of n values x and m values y. If all n + m come
//! from one continuous distribution, every order of them is equally likely, and the distribution of
//! U follows by counting (H. B. Mann and D. R. Whitney, "On a Test of Whether one of Two Random
//! Variables is Stochastically Larger than the Other", Annals of Mathematical Statistics 18, 1947):
//! the largest of the values is an x, with probability n / (n + m), and contributes m pairs, or it
//! is a y and contributes none.

/// The probabilities of U = 0, 1, …, n·m.
///
/// # Panics
/// If `n` or `m` is zero.
pub fn distribution(n: usize, m: usize) -> Vec<f64> {
    assert!(n > 0 && m > 0, "both samples hold a value");
    // row[j] is the distribution for i values x and j values y; none of either makes U zero.
    let mut row = vec![vec![1.0]; m + 1];
    for i in 1..=n {
        row[0] = vec![1.0];
        for j in 1..=m {
            let share = i as f64 / (i + j) as f64;
            let mut next = vec![0.0; i * j + 1];
            for (u, probability) in row[j].iter().enumerate() {
                next[u + j] += share * probability;
            }
            for (u, probability) in row[j - 1].iter().enumerate() {
                next[u] += (1.0 - share) * probability;
            }
            row[j] = next;
        }
    }
    row.pop().expect("it has m + 1 entries")
}

#[cfg(test)]
mod tests {
    use super::distribution;

    fn below_or_equal(n: usize, m: usize, u: usize) -> f64 {
        distribution(n, m)[..=u].iter().sum()
    }

    /// R's documentation of `wilcox.test` (data of Hollander and Wolfe 1973, p. 69): W = 35 of 50
    /// pairs, p = 0.1272 one-sided; SciPy's tests carry 0.1272061272061 from R 4 for it.
    #[test]
    fn agrees_with_r() {
        let p = below_or_equal(10, 5, 50 - 35);
        assert!((p - 0.127_206_127_206_1).abs() < 1e-12, "{p}");
    }

    /// Critical values of U at 5 % two-sided, n = m, from 4 to 20: the largest u such that
    /// P(U <= u) <= 0.025. S. Siegel, "Nonparametric Statistics for the Behavioral Sciences", 1956,
    /// table K, which is found in most textbooks.
    #[test]
    fn agrees_with_the_published_table() {
        let table = [0, 2, 5, 8, 13, 17, 23, 30, 37, 45, 55, 64, 75, 87, 99, 113, 127];
        for (n, critical) in (4..).zip(table) {
            assert!(below_or_equal(n, n, critical) <= 0.025, "n = {n}");
            assert!(below_or_equal(n, n, critical + 1) > 0.025, "n = {n}");
        }
    }

    #[test]
    fn is_a_symmetric_distribution() {
        for (n, m) in [(1, 1), (1, 7), (5, 5), (3, 8), (60, 60)] {
            let p = distribution(n, m);
            assert_eq!(p.len(), n * m + 1);
            assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            for (u, probability) in p.iter().enumerate() {
                let mirrored = p[n * m - u];
                assert!((probability - mirrored).abs() <= 1e-12 * mirrored, "n = {n}, m = {m}");
            }
        }
    }
}

//! Exact limits of a fraction.

use anyhow::{Context, Result};
use statrs::distribution::{Beta, ContinuousCDF};

/// Limits of the true fraction, of which `found` of `of` were seen, that hold with this confidence
/// at least. Source: C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits
/// illustrated in the case of the binomial", *Biometrika* 26 (1934): quantiles of beta
/// distributions.
///
/// # Errors
/// If more were found than there are.
pub fn limits(found: u64, of: u64, confidence: f64) -> Result<[f64; 2]> {
    let missed = of.checked_sub(found).context("more were found than there are")?;
    let tail = (1.0 - confidence) / 2.0;
    let beta = |a: u64, b: u64| Beta::new(a as f64, b as f64).context("no beta distribution");
    let low = if found == 0 { 0.0 } else { beta(found, missed + 1)?.inverse_cdf(tail) };
    let high = if missed == 0 { 1.0 } else { beta(found + 1, missed)?.inverse_cdf(1.0 - tail) };
    Ok([low, high])
}

#[cfg(test)]
mod tests {
    use super::limits;

    /// From scipy 1.17.1: `binomtest(found, of).proportion_ci(0.95, method="exact")`.
    #[test]
    fn limits_agree_with_scipy() {
        for (found, of, low, high) in [
            (0, 1000, 0.0, 0.003682083896639526),
            (1, 3, 0.008403758659612647, 0.9057006759492866),
            (3, 1000, 0.0006190999316499173, 0.008742023238657654),
            (5, 5, 0.47817624989501856, 1.0),
            (20, 1000, 0.012258267972406896, 0.03072003268260907),
            (96, 100, 0.90074284328734, 0.9889955060138118),
            (347, 1000, 0.3174839736829457, 0.3774201069782862),
            (999, 1000, 0.9944410757201502, 0.9999746825125083),
        ] {
            let ours = limits(found, of, 0.95).unwrap();
            let near = ours.iter().zip([low, high]).all(|(our, its)| (our - its).abs() < 1e-9);
            assert!(near, "{found} of {of}: {ours:?}");
        }
    }

    #[test]
    fn none_and_all_reach_the_ends() {
        assert_eq!(limits(0, 1000, 0.95).unwrap()[0], 0.0);
        assert_eq!(limits(7, 7, 0.95).unwrap()[1], 1.0);
        assert!(limits(8, 7, 0.95).is_err());
    }
}

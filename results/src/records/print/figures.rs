//! Numbers as people read them.

use crate::records::stats::Interval;

/// Nanoseconds in the unit that leaves one to three digits before the point, four in all.
pub fn time(ns: f64) -> String {
    let units = [("ns", 1.0), ("µs", 1e3), ("ms", 1e6)];
    // 999.95 would be printed as 1000.0.
    let fits = |scale: f64| ns / scale < 999.95;
    let (unit, scale) = units.into_iter().find(|(_, scale)| fits(*scale)).unwrap_or(("s", 1e9));
    let value = ns / scale;
    let decimals = if value < 9.9995 {
        3
    } else if value < 99.995 {
        2
    } else {
        1
    };
    format!("{value:.decimals$} {unit}")
}

/// The logarithm of a ratio as a percentage of change, such as `+3.2 %`.
pub fn change(log_ratio: f64) -> String {
    let percent = percent(log_ratio);
    // No `-0.0`.
    let percent = if percent.abs() < 0.05 { 0.0 } else { percent };
    format!("{percent:+.1} %")
}

/// The logarithm of a ratio as a percentage of change.
pub fn percent(log_ratio: f64) -> f64 {
    log_ratio.exp_m1() * 100.0
}

/// An interval of such logarithms, such as `+1.0 … +5.5 %`.
pub fn interval(interval: Interval) -> String {
    let low = change(interval.low);
    let low = low.trim_end_matches(" %");
    format!("{low} … {}", change(interval.high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_four_digits() {
        for (ns, expected) in [
            (0.1234, "0.123 ns"),
            (1.0, "1.000 ns"),
            (9.9996, "10.00 ns"),
            (12.345, "12.35 ns"),
            (99.996, "100.0 ns"),
            (999.94, "999.9 ns"),
            (999.96, "1.000 µs"),
            (123_456.0, "123.5 µs"),
            (12_345_678.0, "12.35 ms"),
            (2e9, "2.000 s"),
            (5e13, "50000.0 s"),
        ] {
            assert_eq!(time(ns), expected);
        }
    }

    #[test]
    fn changes_have_a_sign() {
        assert_eq!(change(1.032f64.ln()), "+3.2 %");
        assert_eq!(change(0.5f64.ln()), "-50.0 %");
        assert_eq!(change(-0.0001), "+0.0 %");
        let both = Interval { low: 0.99f64.ln(), high: 1.5f64.ln(), coverage: 0.968 };
        assert_eq!(interval(both), "-1.0 … +50.0 %");
    }
}

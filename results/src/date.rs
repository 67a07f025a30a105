//! Dates as the files have them: ISO 8601 in UTC, to the second.

use anyhow::{Context, Result};
use jiff::Timestamp;

/// The present time, such as `2026-11-22T21:02:35Z`.
pub fn utc_now() -> String {
    shown(Timestamp::now())
}

/// Whole days from `date`, as a file has it, to now; negative if it lies ahead.
///
/// # Errors
/// If it is no date.
pub fn days_since(date: &str) -> Result<i64> {
    days_between(date, Timestamp::now())
}

fn shown(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn days_between(date: &str, now: Timestamp) -> Result<i64> {
    let then: Timestamp = date.parse().with_context(|| format!("`{date}` is no date"))?;
    Ok(now.duration_since(then).as_hours() / 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values from `date --utc --date=@N +%FT%TZ`.
    #[test]
    fn dates_are_printed_to_the_second_and_read_back() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            let time = Timestamp::from_second(seconds).unwrap();
            assert_eq!(shown(time), expected);
            assert_eq!(days_between(expected, time).unwrap(), 0);
        }
        let later = Timestamp::from_second(31 * 86_400 - 1).unwrap();
        assert_eq!(days_between("1970-01-01T00:00:00Z", later).unwrap(), 30);
        assert!(days_between("yesterday", later).is_err());
    }
}

//! Durations as people write them: `90s`, `30m`, `8h`, `1h30m`, `500ms`. The grammar is
//! humantime's.

use std::time::Duration;

use thiserror::Error;

/// A text that is no duration, or none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no duration: write 500ms, 90s, 30m, 8h or 1h30m")]
pub struct NoDuration(String);

/// Reads a duration that is not zero.
///
/// # Errors
/// Says how to write one.
pub fn parse(text: &str) -> Result<Duration, NoDuration> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(NoDuration(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_others_rejected() {
        for (text, seconds) in
            [("90s", 90.0), ("30m", 1800.0), ("8h", 28800.0), ("1h30m", 5400.0), ("500ms", 0.5)]
        {
            assert_eq!(parse(text).unwrap().as_secs_f64(), seconds, "{text}");
        }
        for text in ["", "30", "s", "-1s", "1x", "0s", "99999999999999999999s", "5d5"] {
            let says = parse(text).unwrap_err().to_string();
            assert!(says.contains("is no duration"), "{text}");
        }
    }
}

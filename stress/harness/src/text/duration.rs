//! Durations as people write them: `90s`, `30m`, `8h`, `1h30m`, `500ms`.

use std::time::Duration;

/// Reads a duration: numbers, each with its unit (`ms`, `s`, `m`, `h`, `d`), largest first or not.
///
/// # Errors
/// A sentence that says how to write one.
pub fn parse(text: &str) -> Result<Duration, String> {
    let refused = || format!("`{text}` is no duration: write 500ms, 90s, 30m, 8h or 1h30m");
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refused)?;
        let (number, unit_and_rest) = rest.split_at(digits);
        let letters =
            unit_and_rest.find(|c: char| c.is_ascii_digit()).unwrap_or(unit_and_rest.len());
        let (unit, others) = unit_and_rest.split_at(letters);
        let number: u64 = number.parse().map_err(|_| refused())?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(refused()),
        };
        let part = number.checked_mul(millis).ok_or_else(refused)?;
        total = total.checked_add(Duration::from_millis(part)).ok_or_else(refused)?;
        rest = others;
    }
    if total.is_zero() { Err(refused()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read() {
        for (text, seconds) in
            [("90s", 90.0), ("30m", 1800.0), ("8h", 28800.0), ("1h30m", 5400.0), ("500ms", 0.5)]
        {
            assert_eq!(parse(text).unwrap().as_secs_f64(), seconds, "{text}");
        }
        for text in ["", "30", "s", "5 s", "-1s", "1x", "0s", "99999999999999999999s", "5d5"] {
            assert!(parse(text).unwrap_err().contains("is no duration"), "{text}");
        }
    }
}

//! Regular expressions as people write them, by which rows are chosen.

use regex::Regex;

/// Reads a regular expression.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn parse(text: &str) -> Result<Regex, String> {
    // Its own message draws the pattern over several lines.
    Regex::new(text).map_err(|error| {
        let error = error.to_string();
        let last = error.lines().last().unwrap_or_default();
        format!("`{text}` is no regular expression: {}", last.trim_start_matches("error: "))
    })
}

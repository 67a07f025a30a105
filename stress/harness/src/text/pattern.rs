//! Regular expressions as people write them, by which rows are chosen.

use regex::Regex;
use thiserror::Error;

/// A text that is no regular expression.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is no regular expression: {why}")]
pub struct NoPattern {
    text: String,
    why: String,
}

/// Reads a regular expression.
///
/// # Errors
/// Says what is wrong with it.
pub fn parse(text: &str) -> Result<Regex, NoPattern> {
    // Its own message draws the pattern over several lines.
    Regex::new(text).map_err(|error| {
        let error = error.to_string();
        let last = error.lines().last().unwrap_or_default();
        let why = last.trim_start_matches("error: ").to_owned();
        NoPattern { text: text.to_owned(), why }
    })
}

//! What every tool does first and last: it sees whether it is a child, and says what went wrong.

use std::borrow::Cow;
use std::ffi::OsString;

use anyhow::Result;

use crate::exit;

/// A tool's exit code. What went wrong is said in one line.
pub fn code(done: Result<u8>) -> u8 {
    done.unwrap_or_else(|why| {
        eprintln!("error: {why:#}");
        exit::FAILED
    })
}

/// What a child is to do, if the process's arguments are those of one whose first is `child`.
pub fn job<'a>(arguments: &'a [OsString], child: &str) -> Option<Cow<'a, str>> {
    let [_, first, rest @ ..] = arguments else { return None };
    (first == child).then(|| rest.first().map(|job| job.to_string_lossy()).unwrap_or_default())
}

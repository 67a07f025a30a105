//! `results records`: says what changed from A to B.

use anyhow::Result;
use regex::Regex;

use super::sides::{self, Sides};
use crate::exit::CANNOT_TELL;
use crate::interrupt::Interrupt;
use crate::output::{Format, print};
use crate::records::cli::CompareArguments;
use crate::records::judge::{Comparison, Threshold, check};
use crate::records::print::{json, markdown, table};

/// Runs the subcommand; prints the comparison.
///
/// # Errors
/// If the sides cannot be had or must not be compared.
pub fn run(arguments: &CompareArguments, interrupt: &Interrupt) -> Result<u8> {
    let Sides { a, b, cut_short } = sides::obtain(arguments, interrupt)?;
    check(&a.record, &b.record, arguments.any_machine)?;
    let filter = arguments.filter.as_deref().map(Regex::new).transpose()?;
    let threshold = Threshold { percent: arguments.threshold };
    let comparison = Comparison::new(a, b, filter.as_ref(), threshold)?;
    let code = exit_code(&comparison, arguments.allow_missing, cut_short);
    print(&match arguments.format {
        Format::Table => table(&comparison, arguments.color.is_on()),
        Format::Markdown => markdown(&comparison),
        Format::Json => json(&comparison, code),
    })?;
    Ok(code)
}

/// The comparison's own, except for one thing: if less was measured than was asked for, nothing
/// can be called fine.
fn exit_code(comparison: &Comparison, allow_missing: bool, cut_short: bool) -> u8 {
    match comparison.exit_code(allow_missing) {
        0 if cut_short => CANNOT_TELL,
        code => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::judge::fixtures::comparison;

    #[test]
    fn a_comparison_cut_short_is_never_fine() {
        let steady = [100.0, 101.0, 99.0, 100.5, 99.5];
        let same = comparison(&[("x/y/z", &steady, &steady)]);
        assert_eq!(exit_code(&same, false, false), 0);
        assert_eq!(exit_code(&same, false, true), CANNOT_TELL);
        let slower = comparison(&[("x/y/z", &steady, &steady.map(|time| time * 2.0))]);
        assert_eq!(exit_code(&slower, false, true), 1);
    }
}

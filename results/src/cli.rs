//! The command line: the subcommands. Their options stand with their rooms.

use clap::{Parser, Subcommand};
use drystone_workloads::cli::manual;

use crate::commands::{
    BisectArguments, CalibrateArguments, CompareArguments, ListArguments, MergeArguments,
    SelftestArguments, ShowArguments, SiteArguments, TrendArguments,
};
use crate::records::cli::{CompareArguments as RecordsArguments, RecordArguments};

/// What changed between two commits, and records of benchmark runs.
#[derive(Debug, Parser)]
#[command(name = INSTALLED, version, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say whether B is slower, fatter or wrong where A was not.
    ///
    /// Exit code: 1 for a regression; 2 for a failure, or a side that does not build; 3 when it
    /// cannot be told; else 0.
    Compare(CompareArguments),
    /// Judge an evidence file again, or the shards of one comparison together.
    Show(ShowArguments),
    /// List what is kept: comparisons with what they said, calibrations, builds.
    List(ListArguments),
    /// Join the shards of one comparison into one file.
    Merge(MergeArguments),
    /// Find the commit that made a row slower: first both ends, then the middle of what is left.
    ///
    /// Exit code: 0 if it was found; 3 if it cannot be told.
    Bisect(BisectArguments),
    /// Plant known changes in copies of the allocator, and say how often each is found.
    ///
    /// Exit code: 1 if a rate is shown to be worse than promised; else 0.
    Selftest(SelftestArguments),
    /// Compare a side with itself, many times: what this program sees on this machine, and how
    /// often it is wrong.
    ///
    /// Exit code: 3 if it is wrong more often than promised; else 0.
    Calibrate(CalibrateArguments),
    /// Show figures over history, from comparisons of commits with one pinned archive.
    Trend(TrendArguments),
    /// Write a site of static pages: allocators beside each other, comparisons, trend, stress.
    Site(SiteArguments),
    /// One process of `compare`; its task comes on stdin.
    #[command(hide = true)]
    Child,
    /// Run the criterion benchmarks of the present tree in several processes and write a record.
    Record(RecordArguments),
    /// Compare two records of criterion runs: a second view, wider than `compare` and less sharp.
    ///
    /// Exit code: 1 when a benchmark is slower; else 2 when one is missing on a side or the tool
    /// failed; else 3 when for one it cannot be told; else 0.
    Records(RecordsArguments),
    Manual(manual::Options),
}

/// The tool's name where it is installed.
pub const INSTALLED: &str = "drystone-results";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_negative_threshold_is_rejected_as_a_value() {
        let arguments = ["results", "records", "a", "b", "--threshold", "-1"];
        let said = Arguments::try_parse_from(arguments).unwrap_err().to_string();
        assert!(said.contains("give between 0 and 1000 percent"), "{said}");
        assert!(!said.contains("tip:"), "{said}");
    }
}

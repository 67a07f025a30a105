//! The rows of the suite: what each measures, and for how long.
//!
//! The number of passes is fixed and the same for every allocator, so that peaks and faults can be
//! compared. It is chosen so that a fast allocator takes about a tenth of a second.

use std::path::PathBuf;

use drystone_workloads::committed::{self, NoTraces};
use drystone_workloads::patterns::Order;

/// What a row does; the sizes are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// malloc, first byte, free.
    Pair(usize),
    /// So many live blocks, of which random ones are replaced.
    Ring(usize),
    /// Many blocks are allocated, then all are freed, in this order.
    Bulk(Order),
    /// calloc, first byte, free.
    Calloc(usize),
    /// A buffer doubled up to this size.
    Realloc(usize),
    /// Some blocks of 5 to 25 MiB, replaced at random.
    Large,
    /// One thread allocates, another frees; so many blocks at once.
    HandOff(usize),
    /// Threads hand their blocks on to their successors.
    Churn,
    /// Two threads, each with a ring of its own.
    Threads,
    /// Two threads against one, and the same without memory.
    Scaling,
    /// After a published benchmark program.
    Like(Like),
    /// A recorded program.
    Trace,
}

/// After which program; `work::like` says where each is described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Like {
    /// A server's threads.
    Larson,
    /// Frees by others, in batches.
    MallocTest,
    /// A mix of calls by generations of threads.
    TTest,
    /// Trees over bodies.
    Barnes,
    /// Logic minimisation.
    Espresso,
    /// Number factoring.
    Cfrac,
    /// Passive false sharing.
    CacheScratch,
    /// Active false sharing.
    CacheThrash,
    /// Random sizes over many slots.
    Pareto,
    /// A document's tree.
    Json,
    /// A table of entries.
    KeyValue,
}

impl Kind {
    /// Whether its blocks bear the workloads' mark in their first byte until they end; those of the
    /// others bear what the row itself looks at.
    pub fn marks(self) -> bool {
        !matches!(self, Kind::Like(_))
    }

    /// Threads that allocate or free in it at the same time.
    pub fn threads(self) -> u32 {
        match self {
            Kind::HandOff(_) | Kind::Churn | Kind::Threads | Kind::Scaling => 2,
            Kind::Like(
                Like::Larson | Like::MallocTest | Like::CacheScratch | Like::CacheThrash,
            ) => 2,
            Kind::Like(Like::TTest) => 4,
            _ => 1,
        }
    }

    /// Whether the row's blocks are small, all of them or next to all: slabs' own, many to a slab.
    pub fn is_small(self) -> bool {
        match self {
            Kind::Pair(size) | Kind::Calloc(size) | Kind::Realloc(size) => size <= 8 << 10,
            // A quarter of the calls of `like/t-test` ask for more than 2 KiB, and its threads end
            // soon.
            Kind::Large | Kind::Like(Like::TTest) => false,
            _ => true,
        }
    }
}

/// A row of the suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// As it is printed, and as `--row` matches it.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// How often a child does it after its warm-up.
    pub passes: u64,
    /// The recorded program, where it is one.
    pub trace: Option<PathBuf>,
}

impl Row {
    /// Whether it is measured without being named.
    pub fn is_of_the_suite(&self) -> bool {
        let recorded = self.name.strip_prefix(TRACE);
        recorded.is_none_or(|program| committed::OF_THE_SUITES.contains(&program))
    }
}

/// The names of the rows of traces begin with this.
const TRACE: &str = "trace/";

/// The part of a full row that `--quick` leaves.
const QUICK: u64 = 50;

/// All rows but the traces. An operation is one call; a pass is what `work` says.
#[rustfmt::skip]
const FIXED: &[(&str, Kind, u64)] = &[
    ("pair/16", Kind::Pair(16), 12_000),
    ("pair/64", Kind::Pair(64), 12_000),
    ("pair/256", Kind::Pair(256), 12_000),
    ("pair/1K", Kind::Pair(1 << 10), 12_000),
    ("pair/8K", Kind::Pair(8 << 10), 3_000),
    ("pair/64K", Kind::Pair(64 << 10), 1_000),
    ("pair/1M", Kind::Pair(1 << 20), 100),
    ("ring/256", Kind::Ring(256), 200),
    ("ring/65536", Kind::Ring(65_536), 80),
    ("bulk/lifo", Kind::Bulk(Order::Lifo), 400),
    ("bulk/fifo", Kind::Bulk(Order::Fifo), 400),
    ("bulk/random", Kind::Bulk(Order::Random), 400),
    ("calloc/64", Kind::Calloc(64), 10_000),
    ("calloc/64K", Kind::Calloc(64 << 10), 100),
    ("realloc/1K", Kind::Realloc(1 << 10), 1_000_000),
    ("realloc/16M", Kind::Realloc(16 << 20), 60),
    ("large/25M", Kind::Large, 2),
    ("handoff/1", Kind::HandOff(1), 450),
    ("handoff/256", Kind::HandOff(256), 900),
    ("churn", Kind::Churn, 180),
    ("threads/2", Kind::Threads, 180),
    ("like/larson", Kind::Like(Like::Larson), 90),
    ("like/malloc-test", Kind::Like(Like::MallocTest), 90),
    ("like/t-test", Kind::Like(Like::TTest), 45),
    ("like/barnes", Kind::Like(Like::Barnes), 400),
    ("like/espresso", Kind::Like(Like::Espresso), 200),
    ("like/cfrac", Kind::Like(Like::Cfrac), 50),
    ("like/cache-scratch", Kind::Like(Like::CacheScratch), 900),
    ("like/cache-thrash", Kind::Like(Like::CacheThrash), 900),
    ("like/pareto", Kind::Like(Like::Pareto), 20),
    ("like/json", Kind::Like(Like::Json), 250),
    ("like/key-value", Kind::Like(Like::KeyValue), 20),
    ("scaling", Kind::Scaling, 15),
];
/// Passes over a recorded program of some 100,000 operations.
const TRACE_PASSES: u64 = 60;

/// Every row, in the order in which they are printed: the suite, and the traces that are measured
/// only where they are named.
///
/// # Errors
/// There are no traces.
pub fn rows(quick: bool) -> Result<Vec<Row>, NoTraces> {
    let fixed = FIXED.iter().map(|(name, kind, passes)| Row {
        name: (*name).to_owned(),
        kind: *kind,
        passes: *passes,
        trace: None,
    });
    let mut rows: Vec<Row> = fixed.chain(traces()?).collect();
    if quick {
        for row in &mut rows {
            // Fewer than three phases have no median to speak of.
            let least = if row.kind == Kind::Scaling { 3 } else { 1 };
            row.passes = (row.passes / QUICK).max(least);
        }
    }
    Ok(rows)
}

/// A row for each trace that comes with the harness, by name.
fn traces() -> Result<impl Iterator<Item = Row>, NoTraces> {
    let row = |(program, path)| {
        let name = format!("{TRACE}{program}");
        Row { name, kind: Kind::Trace, passes: TRACE_PASSES, trace: Some(path) }
    };
    Ok(committed::all()?.into_iter().map(row))
}

/// What the row of this name does.
pub fn kind_of(name: &str) -> Option<Kind> {
    if name.starts_with(TRACE) {
        return Some(Kind::Trace);
    }
    FIXED.iter().find(|(known, ..)| *known == name).map(|(_, kind, _)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_name_of_its_own_and_is_found_by_it() {
        let rows = rows(false).expect("the traces are in the repository");
        for row in &rows {
            assert_eq!(kind_of(&row.name), Some(row.kind), "{}", row.name);
            assert_eq!(rows.iter().filter(|other| other.name == row.name).count(), 1);
            assert_eq!(row.trace.is_some(), row.kind == Kind::Trace);
        }
        assert_eq!(kind_of("pair/17"), None);
    }

    #[test]
    fn quick_rows_are_short_and_not_empty() {
        let (full, quick) = (rows(false).unwrap(), rows(true).unwrap());
        for (full, quick) in full.iter().zip(&quick) {
            assert!(quick.passes >= 1 && quick.passes < full.passes, "{}", full.name);
        }
    }
}

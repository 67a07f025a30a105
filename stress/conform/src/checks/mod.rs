//! The checks, one file a topic. Each runs in a process of its own in which the allocator serves
//! `malloc`. This is their register.

mod exercise;
mod interface;
mod own;
mod process;
mod sizes;
mod values;

use crate::row::Row;

/// All rows of semantics, in the order in which they are printed.
const ALL: &[&[Row]] = &[
    interface::ROWS,
    values::zero::ROWS,
    values::limits::ROWS,
    values::alignment::ROWS,
    values::usable::ROWS,
    values::resize::ROWS,
    values::zeroing::ROWS,
    values::errno::ROWS,
    process::lifetime::ROWS,
    process::signals::ROWS,
    process::loading::ROWS,
    process::threads::ROWS,
    process::processes::ROWS,
    process::exhaustion::ROWS,
    own::ROWS,
];

/// Rows of semantics, in the order in which they are printed.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    ALL.iter().copied().flatten()
}

/// The row of a name.
pub fn named(name: &str) -> Option<&'static Row> {
    rows().find(|row| row.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mistake::{self, Mistake, SIZES};
    use crate::row::Check;
    use std::collections::BTreeSet;

    #[test]
    fn the_documentation_counts_them() {
        let page = include_str!("../../../../docs/conformance.md");
        let mut topics = std::collections::BTreeMap::<&str, usize>::new();
        for row in rows() {
            *topics.entry(row.name.split('/').next().unwrap()).or_default() += 1;
        }
        for (topic, rows) in &topics {
            assert!(page.contains(&format!("| `{topic}/` | {rows} |")), "{topic}: {rows} rows");
        }
        let recorded = rows().filter(|row| matches!(row.check, Check::Recorded(_))).count();
        let judged = rows().count() - recorded;
        let counts = format!("{judged} rows are judged, {recorded} recorded.");
        assert!(page.contains(&counts), "{counts}");
        assert!(page.contains(&format!("| passed, of {judged} |")), "{judged}");
    }

    #[test]
    fn every_row_has_a_name_of_its_own_and_a_source() {
        let mut names = BTreeSet::new();
        for row in rows() {
            assert!(names.insert(row.name), "two rows are called {}", row.name);
            assert!(row.name.contains('/') && !row.source.is_empty(), "{}", row.name);
            assert!(!row.about.is_empty() && !row.about.ends_with('.'), "{}", row.name);
        }
        let mistakes: BTreeSet<_> =
            mistake::all().map(|(mistake, size)| mistake::row_name(mistake, size, false)).collect();
        assert_eq!(mistakes.len(), Mistake::ALL.len() * SIZES.len());
    }
}

//! The register of rows: what is checked, and who asks for it.

use crate::checks;
use crate::mistake::{Mistake, SIZES};
use crate::row::Row;

/// Rows of semantics, in the order in which they are printed.
pub fn semantics() -> impl Iterator<Item = &'static Row> {
    checks::ALL.iter().copied().flatten()
}

/// The row on what an allocator says, which is judged by what its process says too.
pub const SAYS_NOTHING: &str = "interface/says-nothing";

/// The row of a name.
pub fn named(name: &str) -> Option<&'static Row> {
    semantics().find(|row| row.name == name)
}

/// Mistakes with their sizes, in the order in which they are printed.
pub fn mistakes() -> impl Iterator<Item = (Mistake, usize)> {
    Mistake::ALL.into_iter().flat_map(|mistake| SIZES.map(|size| (mistake, size)))
}

/// The name of a mistake's row, or of its benign twin's.
pub fn mistake_name(mistake: Mistake, size: usize, twin: bool) -> String {
    let topic = if twin { "twin" } else { "misuse" };
    format!("{topic}/{}/{}", mistake.name(), size_name(size))
}

/// A size of a mistake's block.
pub fn size_name(size: usize) -> String {
    match size {
        0..1024 => format!("{size}B"),
        1024..0x10_0000 => format!("{}K", size >> 10),
        _ => format!("{}M", size >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Check;
    use std::collections::BTreeSet;

    #[test]
    fn the_documentation_counts_them() {
        let page = include_str!("../../../docs/conformance.md");
        let mut topics = std::collections::BTreeMap::<&str, usize>::new();
        for row in semantics() {
            *topics.entry(row.name.split('/').next().unwrap()).or_default() += 1;
        }
        for (topic, rows) in &topics {
            assert!(page.contains(&format!("| `{topic}/` | {rows} |")), "{topic}: {rows} rows");
        }
        let recorded = semantics().filter(|row| matches!(row.check, Check::Recorded(_))).count();
        let judged = semantics().count() - recorded;
        let counts = format!("{judged} rows are judged, {recorded} recorded.");
        assert!(page.contains(&counts), "{counts}");
        assert!(page.contains(&format!("| passed, of {judged} |")), "{judged}");
    }

    #[test]
    fn every_row_has_a_name_of_its_own_and_a_source() {
        let mut names = BTreeSet::new();
        for row in semantics() {
            assert!(names.insert(row.name), "two rows are called {}", row.name);
            assert!(row.name.contains('/') && !row.source.is_empty(), "{}", row.name);
            assert!(!row.about.is_empty() && !row.about.ends_with('.'), "{}", row.name);
        }
        let mistakes: BTreeSet<_> =
            mistakes().map(|(mistake, size)| mistake_name(mistake, size, false)).collect();
        assert_eq!(mistakes.len(), Mistake::ALL.len() * SIZES.len());
    }
}

//! Whether the double-free workload raced: each class of outcomes must come up, or the test showed
//! nothing.

use std::time::Duration;

use drystone_checker::counters::{Count, Counters, Notes};
use drystone_checker::violation::Kind;

use crate::model::finding::Finding;
use crate::model::outcome::DEFERS_REPORTS;
use crate::model::spec::Spec;

/// So many double frees show whether the workers race at all; in fewer it may be chance that they
/// did not. (On two cores with four threads one in six races.)
pub const ENOUGH: u64 = 2_000;
/// As before, for the places where a report may be deferred to, of which the rarest, at an exit,
/// comes up in one of some hundreds on an idle machine.
pub const ENOUGH_FOR_DEFERRED: u64 = 40_000;

/// The finding that the test did not race: a class of double frees never came up in a run of `spec`
/// that was long enough.
pub fn did_not_race(
    spec: &Spec,
    elapsed: Duration,
    counters: &Counters,
    notes: &Notes,
) -> Option<Finding> {
    let class = missing_class(counters, notes, spec.threads)?;
    let expected = format!("{class}, now and then");
    let seen = format!("never in {} double frees", counters[Count::DoubleFreeRounds]);
    Some(spec.finding(elapsed, Kind::DidNotRace, &expected, seen))
}

/// A class of double frees that never came up in so many of them that it should have.
fn missing_class(counters: &Counters, notes: &Notes, workers: usize) -> Option<&'static str> {
    let missing = |enough: u64, classes: &[(Count, &'static str)]| {
        let enough_seen = workers >= 2 && counters[Count::DoubleFreeRounds] >= enough;
        let missing = classes.iter().find(|(count, _)| enough_seen && counters[*count] == 0);
        missing.map(|(_, class)| *class)
    };
    let deferred = [
        (Count::AtReuse, "a double free reported at a reuse"),
        (Count::AtSweep, "a double free reported at a sweep"),
        (Count::AtExit, "a double free reported at its owner's exit"),
    ];
    let all = [
        (Count::DoubleFreeRoundsRaced, "two frees under way at once"),
        (Count::OwnerWon, "the owner's free first"),
        (Count::OtherWon, "another thread's free first"),
        (Count::AtCall, "a double free reported by the call"),
    ];
    // A external allocator says of no free whether it took effect.
    let ends = [Count::OwnReport, Count::Crashed, Count::Hung, Count::Silent, Count::TwoOwners];
    if ends.iter().any(|end| counters[*end] > 0) {
        return None;
    }
    missing(ENOUGH, &all).or_else(|| {
        notes
            .contains_key(DEFERS_REPORTS)
            .then(|| missing(ENOUGH_FOR_DEFERRED, &deferred))
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_never_came_up_is_named() {
        let mut counters = Counters::default();
        let mut notes = Notes::new();
        let counts =
            [Count::DoubleFreeRoundsRaced, Count::OwnerWon, Count::OtherWon, Count::AtCall];
        counts.iter().for_each(|count| counters[*count] = 1);
        counters[Count::DoubleFreeRounds] = ENOUGH_FOR_DEFERRED;
        assert_eq!(missing_class(&counters, &notes, 4), None);
        counters[Count::OwnerWon] = 0;
        assert_eq!(missing_class(&counters, &notes, 4), Some("the owner's free first"));
        assert_eq!(missing_class(&counters, &notes, 1), None);
        counters[Count::OwnerWon] = 1;
        notes.insert(DEFERS_REPORTS.to_owned(), 3);
        assert_eq!(missing_class(&counters, &notes, 4), Some("a double free reported at a reuse"));
        counters[Count::DoubleFreeRounds] -= 1;
        assert_eq!(missing_class(&counters, &notes, 4), None);
    }
}

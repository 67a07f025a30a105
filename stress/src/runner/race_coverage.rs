//! Whether the double-free workload raced: each class of outcomes must come up, or the test showed nothing.

use std::time::Duration;

use drystone_checker::counters::{Count, Counters, Notes};
use drystone_checker::violation::Kind;

use crate::model::finding::Finding;
use crate::model::outcome::FINDS_LATE;
use crate::model::spec::Spec;

/// So many duels show whether the workers race at all; in fewer it may be chance that they did not.
/// (On two cores with four threads one duel in six races.)
pub const ENOUGH_TO_TELL: u64 = 2_000;
/// As before, for the places where a double free is found late, of which the rarest, at an exit, comes up
/// in one duel of some hundreds on an idle machine.
pub const ENOUGH_TO_TELL_LATE: u64 = 40_000;

/// The finding that the test did not race: a class of duels never came up in a run of `spec` that was long enough.
pub fn did_not_race(
    spec: &Spec,
    elapsed: Duration,
    tally: &Counters,
    notes: &Notes,
) -> Option<Finding> {
    let class = missing_class(tally, notes, spec.threads)?;
    let expected = format!("{class}, now and then");
    let seen = format!("never in {} duels", tally[Count::DoubleFreeRounds]);
    Some(Finding::of_run(spec, elapsed, Kind::DidNotRace, &expected, seen))
}

/// A class of duels that never came up in so many of them that it should have.
fn missing_class(tally: &Counters, notes: &Notes, workers: usize) -> Option<&'static str> {
    let missing = |enough: u64, classes: &[(Count, &'static str)]| {
        let told = workers >= 2 && tally[Count::DoubleFreeRounds] >= enough;
        let missing = classes.iter().find(|(count, _)| told && tally[*count] == 0);
        missing.map(|(_, class)| *class)
    };
    let late = [
        (Count::AtReuse, "a double free found at a hand-out"),
        (Count::AtSweep, "a double free found at a sweep"),
        (Count::AtExit, "a double free found at its owner's exit"),
    ];
    let all = [
        (Count::DoubleFreeRoundsRaced, "two frees under way at once"),
        (Count::OwnerWon, "the owner's free first"),
        (Count::OtherWon, "another thread's free first"),
        (Count::AtCall, "a double free reported by the call"),
    ];
    // A foreign allocator says of no free whether it took effect.
    let ends = [Count::OwnReport, Count::Crashed, Count::Hung, Count::Silent, Count::TwoOwners];
    if ends.iter().any(|end| tally[*end] > 0) {
        return None;
    }
    missing(ENOUGH_TO_TELL, &all).or_else(|| {
        notes.contains_key(FINDS_LATE).then(|| missing(ENOUGH_TO_TELL_LATE, &late)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_never_came_up_is_named() {
        let mut tally = Counters::default();
        let mut notes = Notes::new();
        let counts =
            [Count::DoubleFreeRoundsRaced, Count::OwnerWon, Count::OtherWon, Count::AtCall];
        counts.iter().for_each(|count| tally[*count] = 1);
        tally[Count::DoubleFreeRounds] = ENOUGH_TO_TELL_LATE;
        assert_eq!(missing_class(&tally, &notes, 4), None);
        tally[Count::OwnerWon] = 0;
        assert_eq!(missing_class(&tally, &notes, 4), Some("the owner's free first"));
        assert_eq!(missing_class(&tally, &notes, 1), None);
        tally[Count::OwnerWon] = 1;
        notes.insert(FINDS_LATE.to_owned(), 3);
        assert_eq!(missing_class(&tally, &notes, 4), Some("a double free found at a hand-out"));
        tally[Count::DoubleFreeRounds] -= 1;
        assert_eq!(missing_class(&tally, &notes, 4), None);
    }
}

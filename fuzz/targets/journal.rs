//! The reader of the stress tool's journals, and the record beside a journal. What a journal's
//! script is written as has the same steps again.
#![no_main]

use drystone_checker::journal::{Entries, Journal, Script, Step};
use libfuzzer_sys::fuzz_target;

/// The steps, with the generations counted that have any: one whose steps are all left out is no
/// generation the next time.
fn numbered(script: &Script) -> Vec<Step> {
    let steps = |(generation, steps): (usize, &[Step])| {
        steps.iter().map(move |&step| Step { generation, ..step }).collect::<Vec<_>>()
    };
    script.generations().enumerate().flat_map(steps).collect()
}

fuzz_target!(|bytes: &[u8]| {
    // The bytes of one worker's part, as they stand in a file that a killed process has left.
    let _ = Entries::new(bytes, 1).count();
    let Ok(journal) = Journal::from_bytes(bytes) else { return };
    let entries = journal.entries();
    let _ = journal.whole(&entries);
    let script = Script::of(&entries);
    let kept = Script::of(&script.to_journal().entries());
    let again = Script::of(&Journal::from_bytes(&kept.to_journal().to_bytes()).unwrap().entries());
    assert_eq!(numbered(&again), numbered(&kept), "a script that was kept once is what it is");
    assert!(kept.steps.len() <= script.steps.len());
});

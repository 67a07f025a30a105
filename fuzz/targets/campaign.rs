//! The reader of campaign files, and of the records that campaigns leave.
#![no_main]

use drystone_harness::fixtures;
use drystone_stress::allocators::{linked, process};
use drystone_stress::plan::campaign_file;
use drystone_stress::plan::options::Options;
use drystone_stress::runner::record::Record;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = Record::parse(text);
    // A path names an allocator's file, which would be opened: any file of this machine.
    if text.contains('/') {
        return;
    }
    let options = fixtures::options::<Options>(&["--seed", "7"]).expect("a seed can be given");
    let linked = [linked::LIST, process::SYSTEM];
    let folders = fixtures::no_libraries();
    let Ok(plan) = campaign_file::parse(text, &options, &linked, &folders) else { return };
    assert!(!plan.runs.is_empty(), "a campaign has a run");
});

//! The readers of `cargo results`: evidence of comparisons, records of benchmarks, and what the
//! stress tool prints for sites. What is read must be readable once it is written again.
#![no_main]
#![allow(dead_code, unused_imports, missing_docs, reason = "most of these files is not the reader")]

#[path = "../../results/src/site/input/bench.rs"]
mod bench;
#[path = "../../results/src/site/input/conform.rs"]
mod conform;
#[path = "../../results/src/date.rs"]
mod date;
#[path = "../../results/src/evidence/mod.rs"]
mod evidence;
#[path = "../../results/src/machine.rs"]
mod machine;
#[path = "../../results/src/records/record/mod.rs"]
mod record;
#[path = "../../results/src/site/input/stress.rs"]
mod stress;

use std::fmt::Write;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(evidence) = evidence::Evidence::parse(text) {
        let mut again = serde_json::to_string(&evidence.header).expect("all keys are strings");
        for line in &evidence.lines {
            let line = serde_json::to_string(line).expect("all keys are strings");
            write!(again, "\n{line}").expect("a string grows");
        }
        again.push('\n');
        let again = evidence::Evidence::parse(&again).expect("what was written can be read");
        assert_eq!(again.lines.len(), evidence.lines.len());
        let _ = evidence::Evidence::join(vec![("a".to_owned(), again), ("b".to_owned(), evidence)]);
    }
    if let Ok(record) = record::Record::parse(text) {
        let again = serde_json::to_string(&record).expect("all keys are strings");
        record::Record::parse(&again).expect("what was written can be read");
    }
    let _ = stress::Stress::read(text);
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(text) {
        let _ = conform::Conform::read(&value);
        let _ = bench::Bench::read(value);
    }
});

//! An allocator with a planted fault, preloaded: which finding it gives.

use serde_json::Value;

use crate::support::{PLAIN, Tool, faulty};

/// Findings are not to be left in the source.
const STRESS: Tool =
    Tool { always: &["--findings", concat!(env!("CARGO_TARGET_TMPDIR"), "/findings")], ..PLAIN };

/// The only finding of a short run of one workload on the faulty `pages.c`.
fn finding_of(flag: &str, workload: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let faulty = faulty(folder.path(), flag);
    let arguments = ["--allocator", &faulty, "--workload", workload, "--for", "20s"];
    let more = ["--threads", "2", "--first"];
    STRESS.report(1, &[&arguments[..], &more].concat())["findings"][0].clone()
}

#[test]
fn an_allocator_that_exits_as_a_panic_does_is_found() {
    let finding = finding_of("-DEXITS", "mixed");
    assert_eq!(finding["kind"], "crash", "{finding}");
    assert!(finding["seen"].as_str().unwrap().contains("exit status 101"), "{finding}");
}

#[test]
fn an_allocator_that_gives_nothing_is_found() {
    for (flag, workload) in
        [("-DNULLS", "mixed"), ("-DNULLS", "double-free"), ("-DNO_MEGABYTE", "double-free")]
    {
        let finding = finding_of(flag, workload);
        assert_eq!(finding["kind"], "unprovoked-null", "{finding}");
    }
}

#[test]
fn an_allocator_that_talks_in_bytes_is_heard_to_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let talking = faulty(folder.path(), "-DTALKS");
    let arguments = ["--allocator", &talking, "--workload", "mixed", "--for", "2s"];
    let report = STRESS.report(0, &[&arguments[..], &["--threads", "2"]].concat());
    assert!(report["runs"][0]["counts"]["operations"].as_u64() > Some(100), "{report}");
}

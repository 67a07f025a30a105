//! Bounds: on the memory that stays, on the work of one call, on the time until a misuse is told.

use crate::lab::{Lab, Linked};

/// Runs an act of `tests/c/bounds.c`; the numbers that it printed.
#[track_caller]
fn act(name: &str, environment: &[(&str, &str)]) -> Vec<i64> {
    let lab = Lab::new();
    let program = lab.compile("tests/c/bounds.c", Linked::Shared);
    let (ended, _) = lab.run(&program, environment, &[name]);
    assert!(ended.status.success() && ended.stderr.is_empty(), "{name}: {ended:?}");
    ended.stdout.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

/// A page in each 64 KiB stayed, for kernels whose pages are so large.
#[test]
fn a_trim_gives_back_each_page_between_live_blocks() {
    let [stays, must] = act("between", &[])[..] else { panic!("two numbers") };
    assert!(must > 4 << 20, "{must}");
    // Ledgers of four bytes a block stay too.
    assert!(stays < must + (2 << 20), "{stays} bytes stay, of which {must} must");
}

//! Memory that goes back, and that is not taken before it is needed.

use crate::lab::{Lab, Linked, SHARED};

#[test]
fn what_a_smaller_realloc_leaves_behind_goes_back() {
    let lab = Lab::new();
    let program = lab.compile("tests/c/memory/shrink.c", Linked::Plain);
    let environment = [("LD_PRELOAD", SHARED.to_str().unwrap()), ("DRYSTONE_STATS", "0")];
    for (from, to) in
        [("1000000", "600000"), ("1000000", "300000"), ("200000", "110000"), ("260000", "140000")]
    {
        for how in ["allocated", "grown"] {
            let (ended, _) = lab.run(&program, &environment, &[from, to, how]);
            assert_eq!((&*ended.stdout, &*ended.stderr), ("right\n", ""), "{from} {to} {how}");
        }
    }
}

#[test]
fn a_program_with_locked_memory_gets_little_more_than_it_uses() {
    let lab = Lab::new();
    let program = lab.compile("tests/c/memory/locked.c", Linked::Plain);
    let environment = [("LD_PRELOAD", SHARED.to_str().unwrap()), ("DRYSTONE_STATS", "0")];
    let (ended, _) = lab.run(&program, &environment, &[]);
    if ended.stdout == "not allowed\n" {
        eprintln!("passed over: needs the right to lock memory");
        return;
    }
    assert_eq!((&*ended.stdout, &*ended.stderr), ("right\n", ""), "{ended:?}");
}

//! Instructions, counted by callgrind.

use std::process::Command;

use serde_json::Value;

use super::repository::Repository;

/// Whether there is a valgrind. In CI there is.
fn can_count() -> bool {
    let found = Command::new("valgrind").arg("--version").output().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "valgrind is missing: install it");
    if !found {
        eprintln!("passed over: there is no valgrind");
    }
    found
}

/// The allocator's malloc with a line of C at its beginning.
fn with(repository: &Repository, line: &str) {
    let source = include_str!("../allocator/alloc.c");
    let begins = "  size_t class = 5;";
    assert!(source.contains(begins));
    let source = source.replace(begins, &format!("{line}\n{begins}"));
    repository.write("alloc.c", &format!("#include <time.h>\n{source}"));
}

/// How long malloc takes hangs on the clock, as where memory decays by time.
const LOOKS_AT_THE_CLOCK: &str = "struct timespec now; clock_gettime(CLOCK_MONOTONIC, &now);
  for (volatile long turn = now.tv_nsec / 1000 % 97; turn > 0; turn--) {}";

#[test]
fn the_same_count_comes_on_every_run_and_one_instruction_more_is_seen() {
    if !can_count() {
        return;
    }
    let repository = Repository::empty();
    for (file, text) in [
        ("knobs.h", include_str!("../allocator/knobs.h")),
        ("compare.toml", include_str!("../allocator/compare.toml")),
    ] {
        repository.write(file, text);
    }
    with(&repository, LOOKS_AT_THE_CLOCK);
    repository.commit();
    with(&repository, &format!("__asm__ volatile(\"nop\"); {LOOKS_AT_THE_CLOCK}"));
    let counts = || -> Vec<(f64, f64)> {
        let lanes = ["--lanes", "instructions", "--rows", "pair/64,ring/256", "--format", "json"];
        let output = repository.run(&lanes);
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        let pair = |row: &Value| {
            let side = |at: usize| row["per_operation"][at].as_f64().unwrap();
            (side(0), side(1))
        };
        output.json()["instructions"].as_array().unwrap().iter().map(pair).collect()
    };
    let first = counts();
    assert_eq!(first.len(), 2);
    for (a, b) in &first {
        assert_eq!(b - a, 1.0, "{first:?}");
    }
    assert_eq!(counts(), first);
}

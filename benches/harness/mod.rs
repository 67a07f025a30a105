//! How things are measured: criterion's settings, and what must be the same for every benchmark,
//! whichever others run in the same process. Knows no allocator and no group.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, process, thread};

use criterion::Criterion;

/// Whether any benchmark's body ran. Set and read on the main thread, so relaxed is enough.
static RAN: AtomicBool = AtomicBool::new(false);

/// Criterion with this project's defaults: 0.3 s of warm-up and 1.5 s in 50 samples per benchmark.
///
/// Everything is set here and nothing per group, because criterion lets a group's setting override
/// the command line's: this way `--warm-up-time`, `--measurement-time`, `--sample-size` and their
/// kin hold for every benchmark. Many short ones rather than few long ones, because what changes a
/// figure most is the process that it was measured in (where the linker and the OS put things): a
/// comparison of two commits rests on several processes, and more samples within one would add
/// nothing to it.
pub fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .sample_size(50)
        .nresamples(20_000)
        .configure_from_args()
}

/// Starts a thread that sleeps until the process ends.
///
/// C libraries take short cuts while a process has a single thread (glibc's malloc skips its lock),
/// and criterion's analysis starts threads after the first benchmark: without this the first
/// benchmark would be measured in a single-threaded process, and all others not.
pub fn keep_a_second_thread() {
    thread::spawn(|| {
        loop {
            thread::park();
        }
    });
}

/// To be called by every benchmark's body.
pub fn note_that_one_ran() {
    RAN.store(true, Ordering::Relaxed);
}

/// Ends the process with code 2 if benchmarks were to run and none did, which is what a misspelt
/// filter leads to. `cargo test --benches` is let off: its filter is meant for tests of all kinds.
pub fn reject_a_run_of_nothing() {
    let given = |flag: &str| env::args().any(|argument| argument.starts_with(flag));
    let to_run = given("--bench") && !given("--list") && !given("--load-baseline");
    if to_run && !RAN.load(Ordering::Relaxed) {
        eprintln!(
            "no benchmark ran: the filter matches no id; `cargo bench -- --list` prints them all"
        );
        process::exit(2);
    }
}

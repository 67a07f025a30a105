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

/// One free abandoned all that an exited thread had left: it took the lock once for each slab.
#[test]
fn no_call_pays_for_the_slabs_that_another_thread_left() {
    let [most] = act("innocent", &[])[..] else { panic!("a number") };
    assert!((3..=12).contains(&most), "a call took the lock {most} times");
}

/// Each kept a heap for ever: it was claimed when no destructor came any more that would leave it.
#[test]
fn threads_that_only_free_as_they_end_keep_no_heap() {
    let [more] = act("heirs", &[])[..] else { panic!("a number") };
    assert!(more < 1 << 20, "{more} bytes more after 3,900 threads");
}

/// Of two threads that free one block at once both may succeed; the second was told of when
/// somebody next looked at the slab, which was perhaps nobody.
#[test]
fn each_second_free_is_told_within_a_second_of_activity_and_before_an_end() {
    let lab = Lab::new();
    let program = lab.compile("tests/c/bounds.c", Linked::Shared);
    let mut races = 0;
    for name in [
        "deferred_parked",
        "deferred_abandoned",
        "deferred_waiting",
        "deferred_leaves",
        "deferred_leaves_quickly",
    ] {
        let (ended, _) = lab.run(&program, &[("DRYSTONE_ON_MISUSE", "report")], &[name]);
        assert!(ended.status.success(), "{name}: {ended:?}");
        let reports = ended.stderr.lines().filter(|line| line.contains("double free: 0x"));
        let deferred = ended.stderr.matches("found late").count();
        assert_eq!(reports.count(), 4000, "{name}: {deferred} of them deferred");
        races += deferred;
    }
    // On a busy machine one act may have none.
    assert!(races > 0, "no two frees raced");
}

/// Headers and ledgers waited for the thread that had freed there first, and it frees no more.
#[test]
fn threads_that_free_no_more_keep_no_ledgers() {
    let resident = act("last_freers", &[]);
    assert_eq!(resident.len(), 5);
    let (first, last) = (resident[0], resident[4]);
    assert!(last * 10 < first * 12, "{first} bytes became {last}");
}

/// The table in front of the page map alone was as large as all that such a process may lock.
#[test]
fn a_program_that_may_lock_8_mib_can_lock_all_its_memory() {
    // It may write no file of ours.
    let [bytes] = act("lock_all", &[("DRYSTONE_STATS", "0")])[..] else { panic!("a number") };
    if bytes == -1 {
        assert!(
            std::env::var_os("CI").is_none(),
            "the process can't give up the right to lock more"
        );
        eprintln!("passed over: the process can't give up the right to lock more");
        return;
    }
    assert!(bytes >= 512 << 10);
}

/// Headers lay right behind large blocks: an overflow reached them.
#[test]
fn headers_and_records_lie_between_guards() {
    let lab = Lab::new();
    let program = lab.compile("tests/c/memory/guarded.c", Linked::Shared);
    let (ended, _) = lab.run(&program, &[], &[]);
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
    let own: usize = ended.stdout.trim().parse().unwrap();
    assert!(own >= 10, "{own} mappings of the allocator's own were seen");
}

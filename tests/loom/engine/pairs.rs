//! Two others free one block of an owner that does not look: whoever makes a round tells of it, and
//! the owner does not tell it again.

use drystone::internals::sync::fault::Fault;

use super::world::{Block, Hand, PAIR, World};
use crate::explore::{explore, must_catch};

const REPORTS: &str = "two frees give one report";
const BALANCE: &str = "frees that took effect";
const ACCUSED: &str = "a correct free is not accused";

/// An owner's slab that is biased to the first of two others; its blocks, and a fourth heap.
fn a_slab() -> (World, Hand, [Block; 2], [Hand; 2], Hand) {
    let world = World::new();
    let owner = world.claim();
    let blocks = [world.malloc(owner, PAIR), world.malloc(owner, PAIR)];
    let others = [world.claim(), world.claim()];
    world.bias(others[0], blocks[0]);
    let judge = world.claim();
    (world, owner, blocks, others, judge)
}

/// Two others free one block, and somebody judges meanwhile, and again when both are done.
fn judged_while_two_free() {
    let (world, owner, [block, kept], others, judge) = a_slab();
    let threads = others.map(|hand| world.spawn(move |world| world.free(hand, block)));
    world.judge(judge);
    let freed = threads.map(|thread| thread.join().unwrap());
    let at_call = freed.iter().filter(|&&freed| !freed).count();
    world.judge(judge);
    assert_eq!(at_call + world.deferred(), 1, "{REPORTS}");
    world.settle(&[owner], 2, &freed);
    assert_eq!(at_call + world.deferred(), 1, "{REPORTS}");
    assert!(world.free_own(owner, kept), "{ACCUSED}");
    world.all_comes_back(&[owner]);
}

/// Somebody judges while the owner sweeps the slab.
fn judged_while_the_owner_sweeps() {
    let (world, owner, [block, kept], others, judge) = a_slab();
    let threads = others.map(|hand| world.spawn(move |world| world.free(hand, block)));
    let freed = threads.map(|thread| thread.join().unwrap());
    let sweeps = world.spawn(move |world| world.sweep(owner));
    world.judge(judge);
    sweeps.join().unwrap();
    world.settle(&[owner], 2, &freed);
    let at_call = freed.iter().filter(|&&freed| !freed).count();
    assert_eq!(at_call + world.deferred(), 1, "{REPORTS}");
    assert!(world.free_own(owner, kept), "{ACCUSED}");
    world.all_comes_back(&[owner]);
}

/// The block is freed, comes back, and is freed again by the other, while somebody judges. The
/// biased freer is the `first` or the second.
fn judged_while_a_block_comes_back(first: usize) {
    let (world, owner, [block, kept], others, judge) = a_slab();
    // So there is something to judge from the start.
    assert!(world.free(others[0], kept), "{ACCUSED}");
    let thread = world.spawn(move |world| {
        let before = world.free(others[first], block);
        // The slab has no other block: the owner sweeps it, and takes no lock for that.
        let again = world.malloc(owner, PAIR);
        assert_eq!(again, block, "the same block");
        [before, world.free(others[1 - first], again)]
    });
    world.judge(judge);
    let freed = thread.join().unwrap();
    world.judge(judge);
    assert_eq!(freed, [true, true], "{ACCUSED}");
    world.settle(&[owner], 3, &[true, true, true]);
    assert_eq!(world.deferred(), 0, "{ACCUSED}");
    world.all_comes_back(&[owner]);
}

#[test]
fn a_pair_of_marks_is_told_once_without_the_owner() {
    explore(Some(2), judged_while_two_free);
    explore(Some(2), judged_while_the_owner_sweeps);
}

#[test]
fn two_frees_of_two_lives_are_no_pair() {
    explore(Some(3), || judged_while_a_block_comes_back(0));
    explore(Some(3), || judged_while_a_block_comes_back(1));
}

#[test]
fn a_pair_that_nobody_sees_fails() {
    must_catch(Fault::PairUnseen, &[REPORTS], judged_while_two_free);
    must_catch(Fault::JudgeUnfenced, &[REPORTS], judged_while_two_free);
}

#[test]
fn a_pair_that_both_tell_of_fails() {
    must_catch(Fault::ReportedTwice, &[REPORTS, BALANCE], judged_while_two_free);
    must_catch(Fault::ReportedFirst, &[REPORTS, BALANCE], judged_while_the_owner_sweeps);
}

#[test]
fn a_pair_that_is_taken_for_one_across_lives_fails() {
    let model = || judged_while_a_block_comes_back(1);
    must_catch(Fault::PairAcrossLives, &[ACCUSED, BALANCE], model);
}

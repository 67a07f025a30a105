//! The flag of a slab against its sweep: no mark is lost.

use drystone::internals::sync::fault::Fault;

use super::world::{PAIR, World};
use crate::explore::{both, must_catch};

const LOST: &str = "a refill finds what others freed";

/// Two blocks of a slab are freed by another, one of them while the owner sweeps for the first.
/// Whatever the sweep saw, the owner's next refill finds the other, and makes no new slab.
fn a_mark_during_a_sweep(biased: bool) {
    let world = World::with_bias(biased);
    let owner = world.claim();
    let blocks = [world.malloc(owner, PAIR), world.malloc(owner, PAIR)];
    let other = world.claim();
    assert!(world.free(other, blocks[0]), "a correct free is not accused");
    let thread = world.spawn(move |world| world.free(other, blocks[1]));
    let first = world.malloc(owner, PAIR);
    assert!(thread.join().unwrap(), "a correct free is not accused");
    let second = world.malloc(owner, PAIR);
    assert_ne!(first, second, "no block has two owners");
    assert!(blocks.contains(&first) && blocks.contains(&second), "{LOST}");
    world.settle(&[owner], 4, &[true, true]);
    assert_eq!(world.deferred(), 0, "a correct program is never accused");
    assert!(world.free_own(owner, first) && world.free_own(owner, second), "a correct free");
    world.all_comes_back(&[owner]);
}

/// As above, and the other's two frees come from two threads.
fn marks_of_two_during_a_sweep(biased: bool) {
    let world = World::with_bias(biased);
    let owner = world.claim();
    let blocks = [world.malloc(owner, PAIR), world.malloc(owner, PAIR)];
    let threads = blocks
        .map(|block| (world.claim(), block))
        .map(|(hand, block)| world.spawn(move |world| world.free(hand, block)));
    world.sweep(owner);
    let freed = threads.map(|thread| thread.join().unwrap());
    assert_eq!(freed, [true, true], "a correct free is not accused");
    let again = [world.malloc(owner, PAIR), world.malloc(owner, PAIR)];
    assert!(again.iter().all(|block| blocks.contains(block)), "{LOST}");
    world.settle(&[owner], 4, &freed);
    assert_eq!(world.deferred(), 0, "a correct program is never accused");
}

#[test]
fn no_mark_is_lost_to_a_sweep() {
    both(None, a_mark_during_a_sweep);
}

#[test]
fn no_mark_of_two_threads_is_lost_to_a_sweep() {
    both(Some(2), marks_of_two_during_a_sweep);
}

#[test]
fn a_missing_fence_or_flag_fails() {
    let fails = |fault| must_catch(fault, &[LOST], || a_mark_during_a_sweep(false));
    fails(Fault::MarkUnfenced);
    fails(Fault::SweepUnfenced);
    fails(Fault::MarkUnflagged);
}

#[test]
fn a_biased_mark_that_is_not_counted_after_it_fails() {
    let fails = |fault| must_catch(fault, &[LOST], || a_mark_during_a_sweep(true));
    fails(Fault::CountEarly);
    fails(Fault::MarkUnflagged);
}

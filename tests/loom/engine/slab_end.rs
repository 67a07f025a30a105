//! A slab that ends while another thread is about to mark one of its blocks, and the slab's next
//! life.

use drystone::internals::sync::fault::Fault;

use super::world::{OTHER, PAIR, SINGLE, World};
use crate::explore::{both, explore, must_catch};

const REPORTS: &str = "two frees give one report";
const ACCUSED: &str = "a correct free is not accused";

/// The owner frees the only block of a slab, which ends; another frees the block as well.
fn a_late_mark(biased: bool) {
    let world = World::with_bias(biased);
    let owner = world.claim();
    let block = world.malloc(owner, SINGLE);
    // Another slab current: the first is given back as soon as it is empty.
    let kept = world.malloc(owner, SINGLE);
    let other = world.claim();
    let thread = world.spawn(move |world| world.free(other, block));
    let local = world.free_own(owner, block);
    let remote = thread.join().unwrap();
    world.settle(&[owner], 2, &[local, remote]);
    let at_call = [local, remote].iter().filter(|&&freed| !freed).count();
    assert_eq!(at_call + world.deferred(), 1, "{REPORTS}");
    assert!(world.free_own(owner, kept), "{ACCUSED}");
    world.all_comes_back(&[owner]);
}

/// Whose marks are plain stores.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Biased {
    /// Nobody's of this model.
    Nobody,
    /// The other's, as soon as it frees.
    Soon,
    /// The other's, which has freed another block before: its next free is counted.
    Already,
}

/// As above, and the slab begins another life at another place, where the late mark must not land.
fn a_mark_for_the_life_before(biased_freer: Biased) {
    let world = World::with_bias(biased_freer != Biased::Nobody);
    let owner = world.claim();
    let block = world.malloc(owner, SINGLE);
    let kept = world.malloc(owner, SINGLE);
    let other = world.claim();
    let (mut allocations, mut freed) = (4, vec![true]);
    if biased_freer == Biased::Already {
        world.bias(other, block);
        let before = world.malloc(owner, PAIR);
        allocations += 1;
        freed.push(world.free(other, before));
    }
    let thread = world.spawn(move |world| world.free(other, block));
    freed.push(world.free_own(owner, block));
    // Takes the unit that was given back, if it was, so that the slab's next life is elsewhere.
    let between = world.malloc(owner, OTHER);
    let next = world.malloc(owner, SINGLE);
    assert_ne!(next, kept, "no block has two owners");
    assert!(world.free_own(owner, next), "{ACCUSED}");
    freed.push(thread.join().unwrap());
    // What the other freed may have been this one, which has the address of the first: a stale
    // free.
    freed.push(world.free_own(owner, between));
    world.settle(&[owner], allocations, &freed);
    assert!(world.free_own(owner, kept), "{ACCUSED}");
    world.all_comes_back(&[owner]);
}

/// As above, and the biased freer's heap rests when the slab ends. Another thread wakes it, and
/// frees.
fn a_mark_by_who_unparked_the_biased_freer() {
    let world = World::new();
    let owner = world.claim();
    let block = world.malloc(owner, SINGLE);
    let kept = world.malloc(owner, SINGLE);
    let other = world.claim();
    world.bias(other, block);
    world.exit(other);
    let thread = world.spawn(move |world| {
        let hand = world.claim();
        world.free(hand, block)
    });
    let local = world.free_own(owner, block);
    let between = world.malloc(owner, OTHER);
    let next = world.malloc(owner, SINGLE);
    assert_ne!(next, kept, "no block has two owners");
    assert!(world.free_own(owner, next), "{ACCUSED}");
    let remote = thread.join().unwrap();
    let ended = world.free_own(owner, between);
    world.settle(&[owner], 4, &[local, remote, true, ended]);
    assert!(world.free_own(owner, kept), "{ACCUSED}");
    world.all_comes_back(&[owner]);
}

#[test]
fn a_late_mark_is_reported() {
    both(Some(3), a_late_mark);
}

#[test]
fn a_late_mark_never_lands_in_another_life() {
    for biased_freer in [Biased::Nobody, Biased::Soon, Biased::Already] {
        explore(Some(2), move || a_mark_for_the_life_before(biased_freer));
    }
}

#[test]
fn a_heap_that_is_unparked_makes_no_late_mark() {
    explore(Some(3), a_mark_by_who_unparked_the_biased_freer);
}

#[test]
fn a_heap_that_is_unparked_without_a_fence_fails() {
    must_catch(Fault::EpochUnfenced, &[ACCUSED], a_mark_by_who_unparked_the_biased_freer);
}

#[test]
fn an_end_that_is_no_exchange_fails() {
    must_catch(Fault::BumpStored, &[REPORTS, "frees that took effect"], || a_late_mark(false));
}

#[test]
fn a_life_that_is_told_from_the_one_before_by_less_fails() {
    must_catch(Fault::Uncounted, &[ACCUSED], || a_mark_for_the_life_before(Biased::Nobody));
    must_catch(Fault::MarkElsewhere, &[ACCUSED], || a_mark_for_the_life_before(Biased::Nobody));
    must_catch(Fault::MarkAsksEarly, &[ACCUSED], || a_mark_for_the_life_before(Biased::Nobody));
    must_catch(Fault::StartUnfenced, &[ACCUSED], || a_mark_for_the_life_before(Biased::Nobody));
}

#[test]
fn an_end_that_nobody_looks_at_again_fails() {
    must_catch(Fault::EndUnseen, &[REPORTS, "frees that took effect"], || a_late_mark(true));
}

#[test]
fn a_life_that_begins_before_the_last_is_over_fails() {
    let fails = |fault, biased_freer| {
        must_catch(fault, &[ACCUSED], move || a_mark_for_the_life_before(biased_freer));
    };
    fails(Fault::LifeEarly, Biased::Soon);
    fails(Fault::EndUnclaimed, Biased::Soon);
    fails(Fault::EpochUnfenced, Biased::Already);
    fails(Fault::EndUnfenced, Biased::Already);
    fails(Fault::MarkUnannounced, Biased::Soon);
}

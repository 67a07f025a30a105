//! One block, freed by several threads at once.

use drystone::internals::sync::fault::Fault;

use super::world::{Content, PAIR, SINGLE, World};
use crate::explore::{both, must_catch, must_catch_in, twice};

const REPORTS: &str = "N frees give N-1 reports";
const BALANCE: &str = "frees that took effect";

/// The owner and `others` free one block; nothing is allocated meanwhile.
fn owner_and_others(biased: bool, others: usize) {
    let world = World::with_bias(biased);
    let owner = world.claim();
    let (block, kept) = (world.malloc(owner, PAIR), world.malloc(owner, PAIR));
    let hands: Vec<_> = (0..others).map(|_| world.claim()).collect();
    let threads: Vec<_> =
        hands.iter().map(|&hand| world.spawn(move |world| world.free(hand, block))).collect();
    let mut freed = vec![world.free_own(owner, block)];
    freed.extend(threads.into_iter().map(|thread| thread.join().unwrap()));
    world.settle(&[owner], 2, &freed);
    let at_call = freed.iter().filter(|&&freed| !freed).count();
    assert_eq!(at_call + world.deferred(), others, "{REPORTS}");
    assert!(world.free_own(owner, kept), "a correct free is not accused");
    world.all_comes_back(&[owner]);
}

/// Two others free one block, while the owner sweeps if `sweep`.
fn two_others(biased: bool, sweep: bool) {
    let world = World::with_bias(biased);
    let owner = world.claim();
    let (block, kept) = (world.malloc(owner, PAIR), world.malloc(owner, PAIR));
    let threads = [world.claim(), world.claim()]
        .map(|hand| world.spawn(move |world| world.free(hand, block)));
    if sweep {
        world.sweep(owner);
    }
    let freed = threads.map(|thread| thread.join().unwrap());
    world.settle(&[owner], 2, &freed);
    let at_call = freed.iter().filter(|&&freed| !freed).count();
    assert_eq!(at_call + world.deferred(), 1, "{REPORTS}");
    assert!(world.free_own(owner, kept), "a correct free is not accused");
    world.all_comes_back(&[owner]);
}

/// Another frees a block, then, in an order that the program makes, a third; the owner sweeps at
/// any moment. The second free is reported at the call.
fn an_ordered_second_free(biased: bool) {
    let world = World::with_bias(biased);
    let owner = world.claim();
    let (block, _kept) = (world.malloc(owner, PAIR), world.malloc(owner, PAIR));
    let (first, second) = (world.claim(), world.claim());
    let thread = world.spawn(move |world| {
        assert!(world.free(first, block), "a correct free is not accused");
        assert!(!world.free(second, block), "a free after a free is reported at the call");
    });
    world.sweep(owner);
    thread.join().unwrap();
    world.settle(&[owner], 2, &[true]);
    assert_eq!(world.deferred(), 0, "nothing is left to be found late");
}

/// Another frees, then the owner, in an order that the program makes.
fn an_ordered_second_free_by_the_owner(biased: bool) {
    let world = World::with_bias(biased);
    let owner = world.claim();
    let (block, _kept) = (world.malloc(owner, PAIR), world.malloc(owner, PAIR));
    let other = world.claim();
    let freed = world.spawn(move |world| world.free(other, block)).join().unwrap();
    assert!(freed, "a correct free is not accused");
    assert!(!world.free_own(owner, block), "a free after a free is reported at the call");
    world.settle(&[owner], 2, &[true]);
}

/// The owner frees a block and allocates it again; another frees the same block.
fn free_against_reuse(biased: bool) {
    let world = World::with_bias(biased);
    let owner = world.claim();
    let (block, _kept) = (world.malloc(owner, PAIR), world.malloc(owner, PAIR));
    let other = world.claim();
    let thread = world.spawn(move |world| world.free(other, block));
    let local = world.free_own(owner, block);
    world.malloc(owner, PAIR);
    let remote = thread.join().unwrap();
    world.settle(&[owner], 3, &[local, remote]);
}

/// The owner and another free a block; then, in an order that the program makes, it is allocated
/// again. What was wrong has been reported by then, and the new allocation is whole.
fn an_ordered_reuse(biased: bool) {
    let world = World::with_bias(biased);
    let owner = world.claim();
    let (block, _kept) = (world.malloc(owner, PAIR), world.malloc(owner, PAIR));
    let other = world.claim();
    let thread = world.spawn(move |world| world.free(other, block));
    let local = world.free_own(owner, block);
    let remote = thread.join().unwrap();
    let next = world.malloc(owner, PAIR);
    assert_eq!(local as usize + remote as usize - world.deferred(), 1, "{REPORTS}");
    assert!(world.free_own(owner, next), "a correct free is not accused");
    world.settle(&[owner], 3, &[local, remote, true]);
}

/// Another writes into its block and frees it, once; the owner allocations it again and writes:
/// after a look at the flag, or, if `sweep`, at the ledger alone.
fn a_correct_hand_over(biased: bool, sweep: bool) {
    let world = World::with_bias(biased);
    let owner = world.claim();
    let block = world.malloc(owner, SINGLE);
    let content = Content::new();
    let other = world.claim();
    let thread = {
        let content = content.clone();
        world.spawn(move |world| {
            content.write();
            assert!(world.free(other, block), "a correct free is not accused");
        })
    };
    if sweep {
        world.sweep(owner);
    }
    let next = world.malloc(owner, SINGLE);
    if next == block {
        content.write();
    }
    assert!(world.free_own(owner, next), "a correct free is not accused");
    thread.join().unwrap();
    world.settle(&[owner], 2, &[true, true]);
    assert_eq!(world.deferred(), 0, "a correct program is never accused");
    world.all_comes_back(&[owner]);
}

#[test]
fn the_owner_and_another_free_one_block() {
    both(None, |biased| owner_and_others(biased, 1));
}

#[test]
fn the_owner_and_two_others_free_one_block() {
    both(Some(2), |biased| owner_and_others(biased, 2));
}

#[test]
fn two_others_free_one_block() {
    both(None, |biased| two_others(biased, false));
}

#[test]
fn two_others_free_one_block_with_a_sweep_between() {
    both(Some(2), |biased| two_others(biased, true));
}

#[test]
fn ordered_second_frees_are_reported_at_the_call() {
    // Without a bound the first takes ten minutes and 5 GiB since frees of others' blocks say that
    // they are at a mark.
    both(Some(2), an_ordered_second_free);
    both(Some(2), an_ordered_second_free_by_the_owner);
}

#[test]
fn a_free_races_a_reuse() {
    both(None, free_against_reuse);
    both(None, an_ordered_reuse);
}

#[test]
fn a_block_is_handed_over_whole() {
    both(None, |biased| a_correct_hand_over(biased, false));
    both(None, |biased| a_correct_hand_over(biased, true));
}

#[test]
fn a_mark_that_is_no_exchange_fails() {
    must_catch(Fault::MarkStored, &[REPORTS, BALANCE], || two_others(false, false));
    must_catch(Fault::AllBiased, &[REPORTS, BALANCE], || two_others(true, false));
}

#[test]
fn a_sweep_that_says_nothing_fails() {
    let said = &[REPORTS, BALANCE];
    twice(Fault::SweepSilent, said, |biased| owner_and_others(biased, 1));
    must_catch_in("two marks", Fault::SweepSilent, said, || two_others(true, false));
}

#[test]
fn a_free_that_looks_at_half_of_the_entry_fails() {
    let at_the_call = &["is reported at the call"];
    twice(Fault::MarkBlind, at_the_call, an_ordered_second_free);
    twice(Fault::FreeBlind, at_the_call, an_ordered_second_free_by_the_owner);
}

#[test]
fn a_mark_that_acquires_nothing_or_a_taking_back_that_releases_nothing_fails() {
    let at_the_call = &["is reported at the call"];
    twice(Fault::MarkAcquiresNothing, at_the_call, an_ordered_second_free);
    twice(Fault::TakeBackRelaxed, at_the_call, an_ordered_second_free);
}

#[test]
fn a_reuse_that_does_not_look_fails() {
    let seen = &[REPORTS, "a correct free is not accused"];
    twice(Fault::PopBlind, seen, an_ordered_reuse);
}

#[test]
fn a_hand_over_without_its_orderings_fails() {
    let race = &["Causality violation"];
    twice(Fault::MarkReleasesNothing, race, |biased| a_correct_hand_over(biased, true));
    twice(Fault::SeenRelaxed, race, |biased| a_correct_hand_over(biased, true));
}

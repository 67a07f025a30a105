//! The end of a slab's thread, the heap's rest, and its abandonment, against frees by other
//! threads.

use drystone::internals::sync::fault::Fault;

use super::world::{AGED, OTHER, PAIR, SINGLE, World};
use crate::explore::{both, explore, must_catch};

const REPORTS: &str = "N frees give N-1 reports";
const ACCUSED: &str = "a correct free is not accused";
const LEFT: &str = "an empty slab waits for nobody";
const LOST: &str = "who claims a heap finds what others freed";

/// A resting heap is abandoned while another frees the last block of its slab: one of the two gives
/// the slab back.
fn abandonment_against_the_last_free(biased: bool) {
    let world = World::with_bias(biased);
    let owner = world.claim();
    let block = world.malloc(owner, SINGLE);
    let hands = [world.claim(), world.claim()];
    world.exit(owner);
    let thread = world.spawn(move |world| world.free(hands[0], block));
    world.trim(hands[1]);
    assert!(thread.join().unwrap(), "{ACCUSED}");
    assert_eq!(world.slabs(), 0, "{LEFT}");
    world.settle(&hands, 1, &[true]);
    assert_eq!(world.deferred(), 0, "{ACCUSED}");
    world.all_comes_back(&hands);
}

/// A heap has been parked for long. Two threads free the last blocks of its two slabs, and whoever
/// marks first abandons it. All of it goes back, though nobody trims.
fn abandonment_by_two_last_frees(biased: bool) {
    let world = World::with_bias(biased);
    let owner = world.claim();
    let blocks = [world.malloc(owner, SINGLE), world.malloc(owner, OTHER)];
    let hands = [world.claim(), world.claim()];
    world.exit(owner);
    world.wait(AGED);
    let thread = world.spawn(move |world| world.free(hands[0], blocks[0]));
    let freed = [world.free(hands[1], blocks[1]), thread.join().unwrap()];
    assert_eq!(freed, [true, true], "{ACCUSED}");
    assert_eq!(world.slabs(), 0, "{LEFT}");
    world.settle(&hands, 2, &freed);
    assert_eq!(world.deferred(), 0, "{ACCUSED}");
    world.all_comes_back(&hands);
}

/// The owner exits and its heap is abandoned while two others free both blocks of its slab.
fn abandonment_against_two_frees(biased: bool) {
    let world = World::with_bias(biased);
    let owner = world.claim();
    let blocks = [world.malloc(owner, PAIR), world.malloc(owner, PAIR)];
    let hands = [world.claim(), world.claim()];
    let local = world.claim();
    world.exit(owner);
    let threads = [(hands[0], blocks[0]), (hands[1], blocks[1])]
        .map(|(hand, block)| world.spawn(move |world| world.free(hand, block)));
    world.trim(local);
    let freed = threads.map(|thread| thread.join().unwrap());
    assert_eq!(freed, [true, true], "{ACCUSED}");
    let all = [hands[0], hands[1], local];
    world.settle(&all, 2, &freed);
    assert_eq!(world.deferred(), 0, "{ACCUSED}");
    world.all_comes_back(&all);
}

/// The owner frees a block and exits, another frees the same block.
fn exit_against_a_second_free(biased: bool) {
    let world = World::with_bias(biased);
    let owner = world.claim();
    let (block, kept) = (world.malloc(owner, PAIR), world.malloc(owner, PAIR));
    let other = world.claim();
    let thread = world.spawn(move |world| world.free(other, block));
    let local = world.free_own(owner, block);
    world.exit(owner);
    let remote = thread.join().unwrap();
    world.settle(&[other], 2, &[local, remote]);
    let at_call = [local, remote].iter().filter(|&&freed| !freed).count();
    assert_eq!(at_call + world.deferred(), 1, "{REPORTS}");
    assert!(world.free(other, kept), "{ACCUSED}");
    world.all_comes_back(&[other]);
}

/// The owner exits, the next thread has its heap, while another frees a block of the heap's only
/// slab. The next one is given that block, at the latest when the free is over.
fn exit_and_claim_against_a_free(biased: bool) {
    let world = World::with_bias(biased);
    let owner = world.claim();
    let blocks = [world.malloc(owner, PAIR), world.malloc(owner, PAIR)];
    let other = world.claim();
    let thread = world.spawn(move |world| world.free(other, blocks[0]));
    world.exit(owner);
    let next = world.claim();
    assert!(thread.join().unwrap(), "{ACCUSED}");
    let again = world.malloc(next, PAIR);
    assert_eq!(again, blocks[0], "{LOST}");
    world.settle(&[next, other], 3, &[true]);
    assert!(world.free_own(next, again) && world.free_own(next, blocks[1]), "{ACCUSED}");
    assert_eq!(world.deferred(), 0, "{ACCUSED}");
    world.all_comes_back(&[next, other]);
}

/// Another has freed one block of a full slab, and frees the last while the owner exits. The mark
/// may cross the owner's sweep for the first, with nobody told; who has the heap next finds it all
/// the same, and gives the slab back.
fn a_mark_that_crosses_the_last_sweep() {
    let world = World::new();
    let owner = world.claim();
    let blocks = [world.malloc(owner, PAIR), world.malloc(owner, PAIR)];
    // Another slab current.
    let kept = world.malloc(owner, PAIR);
    let other = world.claim();
    assert!(world.free(other, blocks[0]), "{ACCUSED}");
    let thread = world.spawn(move |world| world.free(other, blocks[1]));
    world.exit(owner);
    assert!(thread.join().unwrap(), "{ACCUSED}");
    let next = world.claim();
    assert_eq!(world.slabs(), 1, "{LOST}");
    world.settle(&[next], 3, &[true, true]);
    assert!(world.free_own(next, kept), "{ACCUSED}");
    world.all_comes_back(&[next]);
}

/// As `abandonment_against_the_last_free`, but the flag of the slab is up already. A biased_freer
/// that sees it so looks at nothing behind a fence: its mark may come after the last look at the
/// abandoned slab, and is found when time has passed.
fn abandonment_with_the_flag_up(biased: bool) {
    let world = World::with_bias(biased);
    let owner = world.claim();
    let blocks = [world.malloc(owner, PAIR), world.malloc(owner, PAIR)];
    let hands = [world.claim(), world.claim()];
    world.exit(owner);
    assert!(world.free(hands[0], blocks[0]), "{ACCUSED}");
    world.round_begins();
    let thread = world.spawn(move |world| world.free(hands[0], blocks[1]));
    world.trim(hands[1]);
    assert!(thread.join().unwrap(), "{ACCUSED}");
    if biased {
        world.tick(hands[1]);
    }
    assert_eq!(world.slabs(), 0, "{LEFT}");
    world.settle(&hands, 2, &[true, true]);
    assert_eq!(world.deferred(), 0, "{ACCUSED}");
    world.all_comes_back(&hands);
}

/// Two others free one block at once; who then looks where flags are up finds the second, in the
/// slabs of the owner and, if `exits`, in the heap that the owner leaves meanwhile.
fn judged_by_the_flags(biased: bool, exits: bool) {
    let world = World::with_bias(biased);
    let owner = world.claim();
    let (block, kept) = (world.malloc(owner, PAIR), world.malloc(owner, PAIR));
    let hands = [world.claim(), world.claim()];
    let threads = hands.map(|hand| world.spawn(move |world| world.free(hand, block)));
    if exits {
        world.exit(owner);
    }
    let freed = threads.map(|thread| thread.join().unwrap());
    let at_call = freed.iter().filter(|&&freed| !freed).count();
    world.judge(if exits { hands[0] } else { owner });
    assert_eq!(at_call + world.deferred(), 1, "{REPORTS}");
    assert!(world.free(hands[1], kept), "{ACCUSED}");
}

/// Two threads begin at once where one heap rests, and use what they have.
fn two_claims() {
    let world = World::new();
    let owner = world.claim();
    let block = world.malloc(owner, SINGLE);
    world.exit(owner);
    let begin = move |world: &World| {
        let hand = world.claim();
        let local = world.malloc(hand, SINGLE);
        assert!(world.free_own(hand, local), "{ACCUSED}");
        (hand, local)
    };
    let thread = world.spawn(begin);
    let (local, remote) = (begin(&world), thread.join().unwrap());
    let hands = [local.0, remote.0];
    assert!(local.1 != block && remote.1 != block, "no block has two owners");
    world.settle(&hands, 3, &[true, true]);
    assert!(world.free(hands[0], block), "{ACCUSED}");
    world.all_comes_back(&hands);
}

#[test]
fn an_abandonment_races_the_last_free() {
    both(Some(3), abandonment_against_the_last_free);
    both(Some(2), abandonment_by_two_last_frees);
}

#[test]
fn an_abandonment_races_two_frees() {
    both(Some(2), abandonment_against_two_frees);
}

#[test]
fn an_exit_races_a_second_free() {
    both(Some(3), exit_against_a_second_free);
}

#[test]
fn judging_by_the_flags_finds_a_second_free() {
    both(Some(2), |biased| judged_by_the_flags(biased, false));
    both(Some(2), |biased| judged_by_the_flags(biased, true));
    must_catch(Fault::MarkUnflagged, &[REPORTS], || judged_by_the_flags(true, false));
}

#[test]
fn an_exit_and_a_claim_race_a_free() {
    both(Some(3), exit_and_claim_against_a_free);
}

#[test]
fn a_mark_crosses_the_sweep_of_an_exit() {
    explore(Some(3), a_mark_that_crosses_the_last_sweep);
}

#[test]
fn a_mark_crosses_the_sweep_of_an_abandoned_slab() {
    both(Some(3), abandonment_with_the_flag_up);
}

#[test]
fn a_last_sweep_that_is_sure_of_itself_fails() {
    must_catch(Fault::SweepSure, &[LEFT], || abandonment_with_the_flag_up(true));
}

#[test]
fn a_sweep_that_is_sure_of_itself_fails() {
    must_catch(Fault::SweepSure, &[LOST], a_mark_that_crosses_the_last_sweep);
}

#[test]
fn two_claim_where_one_heap_is_parked() {
    explore(Some(3), two_claims);
}

#[test]
fn an_abandonment_that_does_not_look_again_fails() {
    let fails = |fault| must_catch(fault, &[LEFT], || abandonment_by_two_last_frees(false));
    fails(Fault::ReleaseBlind);
    fails(Fault::OwnerUnseen);
    fails(Fault::FlagUnfenced);
}

#[test]
fn a_mark_without_a_flag_is_lost_to_the_next_owner() {
    must_catch(Fault::MarkUnflagged, &[LOST], || exit_and_claim_against_a_free(false));
}

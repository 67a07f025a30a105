//! Slabs whose owner has exited, taken over by two at once.

use drystone::sync::fault::Fault;

use super::world::{Block, Hand, PAIR, World};
use crate::explore::{explore, must_catch};

const ACCUSED: &str = "a correct free is not accused";

/// An orphan with two live blocks, and two heaps.
fn orphan() -> (World, [Block; 2], [Hand; 2]) {
    let world = World::new();
    let owner = world.claim();
    let blocks = [world.malloc(owner, PAIR), world.malloc(owner, PAIR)];
    let hands = [world.claim(), world.claim()];
    world.exit(owner);
    world.trim(hands[0]);
    (world, blocks, hands)
}

/// Two threads each free one of the orphan's blocks.
fn two_free_into_an_orphan() {
    let (world, blocks, hands) = orphan();
    let thread = world.spawn(move |world| world.free(hands[0], blocks[0]));
    let mine = world.free(hands[1], blocks[1]);
    let freed = [mine, thread.join().unwrap()];
    assert_eq!(freed, [true, true], "{ACCUSED}");
    world.settle(&hands, 2, &freed);
    assert_eq!(world.late(), 0, "{ACCUSED}");
    assert_eq!(world.engine().layer_stats().slabs_taken_over, 1, "one takes over");
    world.all_comes_back(&hands);
}

/// Two threads free the same block of the orphan.
fn two_free_one_block_of_an_orphan() {
    let (world, blocks, hands) = orphan();
    let thread = world.spawn(move |world| world.free(hands[0], blocks[0]));
    let mine = world.free(hands[1], blocks[0]);
    let freed = [mine, thread.join().unwrap()];
    world.settle(&hands, 2, &freed);
    let at_call = freed.iter().filter(|&&freed| !freed).count();
    assert_eq!(at_call + world.late(), 1, "two frees give one report");
    assert!(world.free(hands[0], blocks[1]), "{ACCUSED}");
    world.all_comes_back(&hands);
}

/// One thread frees into the orphan, another allocates from it.
fn a_free_against_an_adoption() {
    let (world, blocks, hands) = orphan();
    // One takes the orphan over by a free, and exits: it is an orphan again, with a free block.
    let first = world.claim();
    assert!(world.free(first, blocks[0]), "{ACCUSED}");
    world.exit(first);
    world.trim(hands[0]);
    let thread = world.spawn(move |world| world.free(hands[0], blocks[1]));
    let issued = world.malloc(hands[1], PAIR);
    assert!(thread.join().unwrap(), "{ACCUSED}");
    world.settle(&hands, 3, &[true, true]);
    assert_eq!(world.late(), 0, "{ACCUSED}");
    assert!(world.free_own(hands[1], issued), "{ACCUSED}");
    world.all_comes_back(&hands);
}

#[test]
fn two_take_an_orphan_over() {
    explore(Some(3), two_free_into_an_orphan);
}

#[test]
fn two_free_one_block_of_the_same_orphan() {
    explore(Some(3), two_free_one_block_of_an_orphan);
}

#[test]
fn a_free_races_an_adoption() {
    explore(Some(3), a_free_against_an_adoption);
}

#[test]
fn a_take_over_that_does_not_look_again_fails() {
    let seen = &["Causality violation", "sound", "one takes over", "signal"];
    must_catch(Fault::TakeOverBlind, seen, two_free_into_an_orphan);
}

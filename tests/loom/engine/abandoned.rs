//! Slabs whose owner has exited, reclaimed by two at once.

use drystone::internals::sync::fault::Fault;

use super::world::{Block, Hand, PAIR, World};
use crate::explore::{explore, must_catch};

const ACCUSED: &str = "a correct free is not accused";
const REPORTED: &str = "a second free is reported once";

/// An abandoned slab with two live blocks, and two heaps.
fn an_abandoned_slab() -> (World, [Block; 2], [Hand; 2]) {
    let world = World::new();
    let owner = world.claim();
    let blocks = [world.malloc(owner, PAIR), world.malloc(owner, PAIR)];
    let hands = [world.claim(), world.claim()];
    world.exit(owner);
    world.trim(hands[0]);
    (world, blocks, hands)
}

/// Two threads each free one of the abandoned slab's blocks.
fn two_free_into_an_abandoned_slab() {
    let (world, blocks, hands) = an_abandoned_slab();
    let thread = world.spawn(move |world| world.free(hands[0], blocks[0]));
    let local = world.free(hands[1], blocks[1]);
    let freed = [local, thread.join().unwrap()];
    assert_eq!(freed, [true, true], "{ACCUSED}");
    world.settle(&hands, 2, &freed);
    assert_eq!(world.deferred(), 0, "{ACCUSED}");
    assert_eq!(world.engine().layer_stats().slabs_reclaimed, 1, "one reclaims it");
    world.all_comes_back(&hands);
}

/// Two threads free the same block of the abandoned slab.
fn two_free_one_block_of_an_abandoned_slab() {
    let (world, blocks, hands) = an_abandoned_slab();
    let thread = world.spawn(move |world| world.free(hands[0], blocks[0]));
    let local = world.free(hands[1], blocks[0]);
    let freed = [local, thread.join().unwrap()];
    world.settle(&hands, 2, &freed);
    let at_call = freed.iter().filter(|&&freed| !freed).count();
    assert_eq!(at_call + world.deferred(), 1, "two frees give one report");
    assert!(world.free(hands[0], blocks[1]), "{ACCUSED}");
    world.all_comes_back(&hands);
}

/// One thread frees into the abandoned slab, another allocates from it.
fn a_free_against_a_reclaim() {
    let (world, blocks, hands) = an_abandoned_slab();
    // One takes the abandoned slab over by a free, and exits: it is an abandoned slab again, with a
    // free block.
    let first = world.claim();
    assert!(world.free(first, blocks[0]), "{ACCUSED}");
    world.exit(first);
    world.trim(hands[0]);
    let thread = world.spawn(move |world| world.free(hands[0], blocks[1]));
    let allocated = world.malloc(hands[1], PAIR);
    assert!(thread.join().unwrap(), "{ACCUSED}");
    world.settle(&hands, 3, &[true, true]);
    assert_eq!(world.deferred(), 0, "{ACCUSED}");
    assert!(world.free_own(hands[1], allocated), "{ACCUSED}");
    world.all_comes_back(&hands);
}

/// Two free one block, while its slab becomes empty, is left to others, and comes back.
fn a_second_free_into_an_idle_slab() {
    let world = World::new();
    world.leave_idle_slabs();
    let hands = [world.claim(), world.claim()];
    // Two blocks fill a slab. A heap keeps the slab that became empty last, and leaves the other.
    let [first, second, third, fourth, fifth] = [(); 5].map(|()| world.malloc(hands[0], PAIR));
    let thread = world.spawn(move |world| world.free(hands[1], first));
    let local = world.free_own(hands[0], first);
    let others = [second, third, fourth].map(|block| world.free_own(hands[0], block));
    assert_eq!(others, [true; 3], "{ACCUSED}");
    // The fourth comes from the idle slab, unless the other thread has reclaimed it.
    let more = [(); 4].map(|()| world.malloc(hands[0], PAIR));
    let freed = [local, thread.join().unwrap()];
    let at_call = freed.iter().filter(|&&freed| !freed).count();
    for hand in hands {
        world.judge(hand);
    }
    assert_eq!(at_call + world.deferred(), 1, "{REPORTED}");
    for block in more.into_iter().chain([fifth]) {
        assert!(world.free(hands[0], block), "{ACCUSED}");
    }
    world.all_comes_back(&hands);
}

#[test]
fn a_second_free_into_an_idle_slab_is_reported() {
    explore(Some(3), a_second_free_into_an_idle_slab);
    must_catch(Fault::MarkUnflagged, &[REPORTED], a_second_free_into_an_idle_slab);
}

#[test]
fn two_reclaim_one_slab() {
    explore(Some(3), two_free_into_an_abandoned_slab);
}

#[test]
fn two_free_one_block_of_the_same_abandoned_slab() {
    explore(Some(3), two_free_one_block_of_an_abandoned_slab);
}

#[test]
fn a_free_races_a_reclaim() {
    explore(Some(3), a_free_against_a_reclaim);
}

#[test]
fn a_reclaim_that_does_not_look_again_fails() {
    let seen = &["Causality violation", "sound", "one reclaims it", "signal"];
    must_catch(Fault::ReclaimBlind, seen, two_free_into_an_abandoned_slab);
}

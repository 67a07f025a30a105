//! The exit of a slab's owner against frees by other threads.

use drystone::sync::fault::Fault;

use super::world::{PAIR, SINGLE, World};
use crate::explore::{explore, must_catch};

const REPORTS: &str = "N frees give N-1 reports";
const ACCUSED: &str = "a correct free is not accused";
const LEFT: &str = "an empty slab waits for nobody";

/// The owner exits while another frees the last block of its slab: one of the two gives the slab back.
fn exit_against_the_last_free() {
    let world = World::new();
    let owner = world.claim();
    let block = world.malloc(owner, SINGLE);
    let other = world.claim();
    let thread = world.spawn(move |world| world.free(other, block));
    world.exit(owner);
    assert!(thread.join().unwrap(), "{ACCUSED}");
    assert_eq!(world.slabs(), 0, "{LEFT}");
    world.settle(&[other], 1, &[true]);
    assert_eq!(world.late(), 0, "{ACCUSED}");
    world.all_comes_back(&[other]);
}

/// The owner exits while two others free both blocks of its slab.
fn exit_against_two_frees() {
    let world = World::new();
    let owner = world.claim();
    let blocks = [world.malloc(owner, PAIR), world.malloc(owner, PAIR)];
    let hands = [world.claim(), world.claim()];
    let mut index = 0;
    let threads = hands.map(|hand| {
        let block = blocks[index];
        index += 1;
        world.spawn(move |world| world.free(hand, block))
    });
    world.exit(owner);
    let freed = threads.map(|thread| thread.join().unwrap());
    assert_eq!(freed, [true, true], "{ACCUSED}");
    world.settle(&hands, 2, &freed);
    assert_eq!(world.late(), 0, "{ACCUSED}");
    world.all_comes_back(&hands);
}

/// The owner frees a block and exits, another frees the same block.
fn exit_against_a_second_free() {
    let world = World::new();
    let owner = world.claim();
    let (block, kept) = (world.malloc(owner, PAIR), world.malloc(owner, PAIR));
    let other = world.claim();
    let thread = world.spawn(move |world| world.free(other, block));
    let mine = world.free_own(owner, block);
    world.exit(owner);
    let theirs = thread.join().unwrap();
    world.settle(&[other], 2, &[mine, theirs]);
    let at_call = [mine, theirs].iter().filter(|&&freed| !freed).count();
    assert_eq!(at_call + world.late(), 1, "{REPORTS}");
    assert!(world.free(other, kept), "{ACCUSED}");
    world.all_comes_back(&[other]);
}

#[test]
fn an_exit_races_the_last_free() {
    explore(Some(3), exit_against_the_last_free);
}

#[test]
fn an_exit_races_two_frees() {
    explore(Some(2), exit_against_two_frees);
}

#[test]
fn an_exit_races_a_second_free() {
    explore(Some(3), exit_against_a_second_free);
}

#[test]
fn an_exit_that_does_not_look_again_fails() {
    must_catch(Fault::ReleaseBlind, &[LEFT], exit_against_the_last_free);
    must_catch(Fault::OwnerUnseen, &[LEFT], exit_against_the_last_free);
    must_catch(Fault::FlagUnfenced, &[LEFT], exit_against_the_last_free);
}

//! The lines about a guarded block.

use super::crash::Fault;
use super::pool::{Event, Pool, Slot, State};
use super::stack::Stack;
use crate::process::stderr;

/// A fault at an address in the pool, and the block that it was about.
pub fn fault(pool: &mut Pool, fault: Fault) {
    let slot = pool.around(fault.address);
    let Fault { address, write, instruction } = fault;
    let access = match write {
        Some(false) => "read of",
        Some(true) => "write to",
        None => "access to",
    };
    // SAFETY: getpid takes nothing and cannot fail.
    let process = unsafe { libc::getpid() };
    let by = Event::here();
    let thread = by.thread;
    match Place::of(slot, address) {
        None => stderr::say(format_args!(
            "wild pointer: {access} {address:#x}, among guarded blocks, in process {process}, \
             thread {thread}"
        )),
        Some(Place { mistake, bytes, side, state }) => stderr::say(format_args!(
            "{mistake}: {access} {address:#x}, {bytes} bytes {side} a {state} block of {} bytes, \
             in process {process}, thread {thread}",
            slot.size
        )),
    }
    say_stack("the access", by.thread, &by.stack.since(instruction));
    say_history(slot);
}

/// Where the block around `address` was allocated and freed.
pub fn history(pool: &mut Pool, address: usize) {
    say_history(pool.around(address));
}

fn say_history(slot: &Slot) {
    if slot.state != State::Unused {
        say_stack("allocated", slot.allocated.thread, &slot.allocated.stack);
    }
    if slot.state == State::Freed {
        say_stack("freed", slot.freed.thread, &slot.freed.stack);
    }
}

fn say_stack(what: &str, thread: i64, stack: &Stack) {
    stderr::say(format_args!("{what}, by thread {thread}, in"));
    stack.write();
}

/// Where an address is, from a block.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    mistake: &'static str,
    bytes: usize,
    side: &'static str,
    state: &'static str,
}

impl Place {
    /// Where `address` is from the slot's block; `None` if it never had one.
    fn of(slot: &Slot, address: usize) -> Option<Place> {
        if slot.state == State::Unused {
            return None;
        }
        let state = if slot.state == State::Freed { "freed" } else { "live" };
        let end = slot.block + slot.size;
        let (mistake, bytes, side) = match address {
            _ if address < slot.block => ("underflow", slot.block - address, "before"),
            _ if address >= end => ("overflow", address - end, "after"),
            _ => ("use after free", address - slot.block, "inside"),
        };
        let mistake = if slot.state == State::Freed { "use after free" } else { mistake };
        Some(Place { mistake, bytes, side, state })
    }
}

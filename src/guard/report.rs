//! The lines about a guarded block.

use core::fmt::{self, Write};

use super::crash::Fault;
use super::modules::Modules;
use super::pool::{Event, Slot, State};
use crate::os::{Mmap, Os, PAGE};
use crate::process::stderr;
use crate::process::text::Text;

/// What a fault in the pool was about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Nothing: no block ever was there.
    Wild,
    /// A block of so many bytes.
    Block(Place, usize),
}

/// What a fault at `address` was about, of which `slot` is the block's. `None` if it is no mistake
/// that is known: somebody has forbidden access to a live block.
pub fn about(slot: &Slot, address: usize) -> Option<About> {
    match slot.state {
        State::Unused => Some(About::Wild),
        _ => Place::of(slot, address).map(|place| About::Block(place, slot.size)),
    }
}

/// Writes the line about a fault.
pub fn headline(about: About, fault: &Fault) {
    let Fault { address, write, .. } = *fault;
    let access = match write {
        Some(false) => "read of",
        Some(true) => "write to",
        None => "access to",
    };
    let thread = Event::thread();
    // SAFETY: getpid takes nothing and cannot fail.
    let process = unsafe { libc::getpid() };
    match about {
        About::Wild => stderr::say(format_args!(
            "wild pointer: {access} {address:#x}, among guarded blocks, in process {process}, \
             thread {thread}"
        )),
        About::Block(Place { mistake, bytes, side, state }, size) => stderr::say(format_args!(
            "{mistake}: {access} {address:#x}, {bytes} bytes {side} a {state} block of {size} \
             bytes, in process {process}, thread {thread}"
        )),
    }
}

/// Writes the functions of a fault, and those that its block came by, unless the slot has another
/// by now.
pub fn stacks(slot: &Slot, was: About, fault: &Fault, out: &mut Text<'_>) -> fmt::Result {
    with_modules(|modules| {
        heading("the access", Event::thread(), out)?;
        modules.write_stack(fault.instruction, fault.stack, out)?;
        if about(slot, fault.address) != Some(was) {
            return Ok(());
        }
        events(slot, modules, out)
    })
}

/// Where a slot's block was allocated and freed.
pub fn history(slot: &Slot, out: &mut Text<'_>) -> fmt::Result {
    with_modules(|modules| events(slot, modules, out))
}

fn events(slot: &Slot, modules: &Modules, out: &mut Text<'_>) -> fmt::Result {
    let mut event = |what, event: &Event| {
        heading(what, event.thread, out)?;
        modules.write(event.stack.words(), false, out)
    };
    if slot.state != State::Unused {
        event("allocated", &slot.allocated)?;
    }
    if slot.state == State::Freed {
        event("freed", &slot.freed)?;
    }
    Ok(())
}

fn heading(what: &str, thread: i64, out: &mut Text<'_>) -> fmt::Result {
    writeln!(out, "drystone: {what}, by thread {thread}, in")
}

/// Runs `f` with the code that the process has, in a mapping of its own.
fn with_modules(f: impl FnOnce(&mut Modules) -> fmt::Result) -> fmt::Result {
    let bytes = size_of::<Modules>().next_multiple_of(PAGE);
    let place = Mmap.map(bytes).cast::<Modules>();
    if place.is_null() {
        return Err(fmt::Error);
    }
    // SAFETY: a new mapping, as long and as aligned as that, whose zeroes are numbers and bytes.
    let modules = unsafe { &mut *place };
    modules.fill();
    let result = f(modules);
    // SAFETY: mapped above; nothing refers to it any more. Should the OS fail, it stays.
    unsafe { Mmap.unmap(place.cast(), bytes) };
    result
}

/// Where an address is, from a block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Place {
    mistake: &'static str,
    bytes: usize,
    side: &'static str,
    state: &'static str,
}

impl Place {
    /// Where `address` is from the slot's block. `None` inside a live one, and if the slot is busy.
    fn of(slot: &Slot, address: usize) -> Option<Place> {
        let end = slot.block + slot.size;
        let (outside, bytes, side) = match address {
            _ if address < slot.block => (Some("underflow"), slot.block - address, "before"),
            _ if address >= end => (Some("overflow"), address - end, "after"),
            _ => (None, address - slot.block, "inside"),
        };
        let (mistake, state) = match slot.state {
            State::Freed => ("use after free", "freed"),
            State::Live => (outside?, "live"),
            State::Unused | State::Busy => return None,
        };
        Some(Place { mistake, bytes, side, state })
    }
}

//! `like/barnes`: bodies in a chain, and over them an octree that is built and dropped in each
//! step.
//!
//! ```text
//! first ─► body ─► body ─► body ─► ...          live from the row's beginning
//!            ▲       ▲
//! root cell ─┴─ cell ┴─ ...                     a step's own
//! ```

use std::ptr;

use drystone_workloads::splitmix::splitmix;

use crate::bench::work::like::meter::{Meter, counted};
use crate::bench::work::passes::Work;

const BODIES: usize = 2048;
/// After so many steps all bodies are where they were.
const STEPS: u32 = 4;
/// Of a pass, which is [`STEPS`] steps.
const CALLS: u64 = 24_208;

/// A body in the chain.
struct Body {
    place: [u32; 3],
    mass: u32,
    next: *mut Body,
}

/// A node of the tree: an inner one has up to eight below it, a leaf has a body, and a block that
/// ends behind it.
#[repr(C)]
struct Node {
    body: *const Body,
    below: [*mut Node; 8],
}

/// Of a leaf's block.
const LEAF_BYTES: usize = size_of::<*const Body>();

/// A pass is four steps; in each the bodies drift, a tree of one leaf for each and the cells above
/// them is built, its mass is summed, and it is dropped.
pub(super) fn barnes() -> Work {
    counted(CALLS, |meter| {
        let mut seed = 1;
        let (mut first, mut mass) = (ptr::null_mut(), 0);
        for _ in 0..BODIES {
            let (one, two) = (splitmix(&mut seed), splitmix(&mut seed));
            let place = [one as u32, (one >> 32) as u32, two as u32];
            let body = Body { place, mass: (two >> 48) as u32, next: first };
            mass += u64::from(body.mass);
            first = put(meter, body);
        }
        Box::new(move |meter| (0..STEPS).for_each(|_| step(meter, first, mass)))
    })
}

/// A block with `value` in it.
fn put<T>(meter: &mut Meter, value: T) -> *mut T {
    let block = meter.malloc(size_of::<T>()).cast::<T>();
    // SAFETY: the block is as large as the value, and aligned as malloc's are.
    unsafe { block.write(value) };
    block
}

fn step(meter: &mut Meter, first: *mut Body, mass: u64) {
    let root = put(meter, Node { body: ptr::null(), below: [ptr::null_mut(); 8] });
    let mut body = first;
    while !body.is_null() {
        // SAFETY: the chain's bodies are live as long as the row, and only this thread uses them;
        // so are the tree's nodes until `dropped`.
        unsafe {
            for axis in &mut (*body).place {
                *axis = axis.wrapping_add(u32::MAX / STEPS + 1);
            }
            insert(meter, root, body);
            body = (*body).next;
        }
    }
    // SAFETY: the tree is whole, and not used again.
    let seen = unsafe { dropped(meter, root, true) };
    assert_eq!(seen, (BODIES, mass), "the tree lost bodies");
}

/// Adds a leaf for `body`.
///
/// # Safety
/// `root` is an inner node of a live tree, and `body` is live.
unsafe fn insert(meter: &mut Meter, root: *mut Node, body: *const Body) {
    // SAFETY: the tree's nodes and the bodies are live. Only inner nodes, whose blocks are whole,
    // are asked for what is below them: a leaf is told by its body.
    unsafe {
        let leaf = meter.malloc(LEAF_BYTES).cast::<Node>();
        (&raw mut (*leaf).body).write(body);
        let mut node = root;
        for level in 0..u32::BITS {
            let slot = (&raw mut (*node).below).cast::<*mut Node>().add(octant(body, level));
            let there = *slot;
            if there.is_null() {
                *slot = leaf;
                return;
            }
            if (*there).body.is_null() {
                node = there;
                continue;
            }
            // A leaf makes room for a cell and goes one level down.
            let mut below = [ptr::null_mut(); 8];
            below[octant((*there).body, level + 1)] = there;
            node = put(meter, Node { body: ptr::null(), below });
            *slot = node;
        }
        unreachable!("no two bodies are in one place");
    }
}

/// In which eighth of its cell at `level` a body is.
///
/// # Safety
/// `body` is live.
unsafe fn octant(body: *const Body, level: u32) -> usize {
    // SAFETY: the body is live.
    let place = unsafe { (*body).place };
    let bit = |axis: u32| (axis >> (u32::BITS - 1 - level % u32::BITS) & 1) as usize;
    bit(place[0]) | bit(place[1]) << 1 | bit(place[2]) << 2
}

/// Frees a tree; how many bodies it had, and their mass.
///
/// # Safety
/// `node` is live, an inner one where `inner` says so, and not used again.
unsafe fn dropped(meter: &mut Meter, node: *mut Node, inner: bool) -> (usize, u64) {
    // SAFETY: `node` is live, and all below it; only an inner one is asked for what is below. Each
    // node is in one slot, so it is freed once.
    unsafe {
        let mut seen = (0, 0);
        if inner {
            for below in (*node).below.into_iter().filter(|below| !below.is_null()) {
                let inner = (*below).body.is_null();
                let (bodies, mass) = dropped(meter, below, inner);
                seen = (seen.0 + bodies, seen.1 + mass);
            }
        } else {
            let body = (*node).body;
            seen = (1, u64::from((*body).mass));
        }
        meter.free(node.cast());
        seen
    }
}

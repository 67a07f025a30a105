//! A slab by itself: numbers by multiplication, exhaustively; a rebuild after a fork; corruption
//! that [`Slab::check`] must name.

use super::*;
use crate::engine::classes::UNIT;
use crate::engine::slab::ledger::Freer;
use crate::engine::slab::owned::OwnedSlab;
use crate::engine::slab::remote::Marked;
use crate::probe::NoProbe;

const SOMEBODY: usize = 1 << 20;

/// A slab of `class` over the span at `start`, which is not touched, owned by nobody that exists.
fn slab(class: usize, start: usize) -> OwnedSlab {
    let bytes = Slab::footprint(class).next_multiple_of(64) + 64;
    let layout = std::alloc::Layout::from_size_align(bytes, 64).unwrap();
    // SAFETY: zeroes of that size and alignment, for ever; the slab is nobody's.
    unsafe {
        let place = std::alloc::alloc_zeroed(layout).cast::<Slab>();
        place.expose_provenance();
        Slab::create(place, class, ptr::null());
        let slab = OwnedSlab::new(place);
        slab.start_at(start, true, SOMEBODY);
        slab
    }
}

/// A slab with three blocks allocated and the others of its first page free.
fn in_use() -> (OwnedSlab, [usize; 3]) {
    let slab = slab(classes::class_of_small(256), 1 << 30);
    slab.carve();
    let blocks = [(); 3].map(|()| slab.pop().unwrap().addr().get());
    slab.with(|local| local.put_with(Place::Nowhere, 3));
    slab.check().unwrap();
    (slab, blocks)
}

#[test]
fn every_address_of_every_class_has_its_number() {
    for class in 0..classes::CLASSES {
        let (start, size) = (1 << 30, classes::size_of(class));
        let slab = slab(class, start);
        // Every multiple of 16, and around each block's start every byte.
        let end = classes::units(class) * UNIT;
        let near =
            (0..end / size).flat_map(|block| (block * size).saturating_sub(2)..=(block * size + 2));
        for offset in (0..end).step_by(16).chain(near) {
            let starts = offset % size == 0 && offset / size < slab.capacity();
            let number = starts.then_some(offset / size);
            assert_eq!(slab.index_of(start + offset), number, "class {class}, offset {offset}");
            // The number of what starts in the tail is rejected by the entry, which is never
            // carved.
            let as_owner = slab.number_of(start + offset);
            if offset / size < slab.capacity() {
                assert_eq!(as_owner, number.map(|number| number + 1), "class {class}, {offset}");
            }
        }
        for outside in [start - 1, start - size - 16, start + end + (8 << 30), 16] {
            let number = slab.number_of(outside);
            assert!(number.is_none_or(|number| number == 0 || outside < start));
        }
    }
}

#[test]
fn a_rebuild_accuses_nobody_and_loses_no_free_block() {
    let (slab, blocks) = in_use();
    // SAFETY: this thread alone knows the slab; the blocks are its.
    unsafe {
        let number = slab.number_of(blocks[0]).unwrap();
        // Another freed the first; the owner was taking it back when the fork came: free, and still
        // marked.
        assert_eq!(slab.mark(NOBODY, blocks[0], &NoProbe), Marked::First);
        slab.numbered(number).set_local(END);
        // Another freed the second, and the owner had not looked.
        assert_eq!(slab.mark(NOBODY, blocks[1], &NoProbe), Marked::Done);
        slab.rebuild();
        slab.check().unwrap();
        let free = slab.free_blocks();
        let mut accused = Vec::new();
        assert_eq!(slab.sweep(|address| accused.push(address)), 1, "the second comes back");
        assert_eq!(accused, [0; 0], "nobody made a mistake");
        slab.check().unwrap();
        assert_eq!(slab.free_blocks(), free + 1);
        // Every free block can be allocated, none twice, and none that is live.
        let mut allocated = vec![blocks[2]];
        loop {
            if let Some(block) = slab.pop() {
                allocated.push(block.addr().get());
            } else {
                assert_eq!(slab.double_freed_head(), None, "nobody made a mistake");
                if slab.carve() == 0 {
                    break;
                }
            }
        }
        let all = allocated.len();
        allocated.sort_unstable();
        allocated.dedup();
        assert_eq!((allocated.len(), all), (slab.capacity(), slab.capacity()));
    }
}

#[test]
fn corruption_is_named() {
    type Damage = fn(OwnedSlab, &mut Local);
    let damages: [(&str, Damage); 8] = [
        ("a slab has no more blocks than its capacity", |_, local| local.carved = u16::MAX),
        ("a slab knows the address of its first free block", |_, local| local.top += 16),
        ("a free list holds carved blocks only, each once", |slab, local| {
            local.set_head(slab.capacity() as u16);
        }),
        // A circle.
        // SAFETY: in these, numbers of carved blocks.
        ("a free list holds carved blocks only, each once", |slab, local| unsafe {
            slab.numbered(usize::from(local.head)).set_local(local.head);
        }),
        // SAFETY: this thread alone knows the slab, and the numbers are of its blocks.
        ("every carved block is live or on its slab's list", |slab, local| unsafe {
            local.set_head(slab.numbered(usize::from(local.head)).local());
        }),
        // SAFETY: this thread alone knows the slab, and its first block is carved.
        ("every carved block is live or on its slab's list", |slab, _| unsafe {
            slab.numbered(1).set_local(UNCARVED);
        }),
        // SAFETY: this thread alone knows the slab, and the numbers are of its blocks.
        ("every carved block is live or on its slab's list", |slab, _| unsafe {
            slab.entry(slab.capacity() - 1).set_local(LIVE);
        }),
        ("a slab counts the blocks that are not on its list", |_, local| local.countdown += 1),
    ];
    for (index, (invariant, damage)) in damages.into_iter().enumerate() {
        let (slab, _) = in_use();
        slab.with(|local| damage(slab, local));
        assert_eq!(slab.check(), Err(invariant), "damage {index}");
    }
}

#[test]
fn a_biased_mark_after_the_slabs_end_is_told_with_its_address() {
    let (slab, blocks) = in_use();
    let mut accused = Vec::new();
    // SAFETY: this thread alone knows the slab; the blocks are its.
    unsafe {
        let free = |block: usize| {
            let number = slab.number_of(block).unwrap();
            slab.free(number, block, &NoProbe).unwrap();
        };
        free(blocks[0]);
        free(blocks[2]);
        // The biased freer has seen that the block is live; then the owner frees it, and the slab
        // ends.
        let entry = slab.entry(slab.index_of(blocks[1]).unwrap());
        let mark = entry.mark(Freer::Biased, || {
            free(blocks[1]);
            slab.retire(|_| panic!("nobody has made a mistake yet"), |_| 0);
            true
        });
        assert_eq!(mark, ledger::Mark::Done);
        slab.judge_end(|address| accused.push(address));
        assert_eq!(accused, [blocks[1]]);
        slab.judge_end(|_| panic!("told once"));
    }
}

#[test]
fn two_marks_of_a_block_are_two_frees() {
    let (slab, blocks) = in_use();
    // SAFETY: this thread alone knows the slab; the block is its.
    unsafe {
        // Both look while the block is live.
        let entry = slab.entry(slab.index_of(blocks[0]).unwrap());
        let first = entry.mark(Freer::Biased, || {
            assert_eq!(entry.mark(Freer::Other, || true), ledger::Mark::Done);
            true
        });
        assert_eq!(first, ledger::Mark::Done);
        let mut accused = Vec::new();
        assert_eq!(slab.sweep(|address| accused.push(address)), 1, "the block comes back once");
        assert_eq!(accused, [blocks[0]], "and the second free is told");
        slab.check().unwrap();
    }
}

//! Corruption of an engine with heaps and abandoned slabs that [`Engine::check`] must name.

use super::*;
use crate::engine::classes;
use crate::engine::slab::owned::OwnedSlab;
use crate::os::Mmap;
use crate::probe::NoProbe;
use crate::sync::FutexLock;

type Plain = Engine<Mmap, NoProbe, FutexLock>;

/// An engine for ever. It is made on a stack that is large enough.
fn engine() -> &'static Plain {
    let make = || {
        Box::into_raw(Box::new(Engine::with_parts(Mmap, NoProbe, FutexLock::new())))
            .expose_provenance()
    };
    let made =
        std::thread::Builder::new().stack_size(64 << 20).spawn(make).unwrap().join().unwrap();
    // SAFETY: made by `Box::into_raw`, and never freed.
    unsafe { &*core::ptr::with_exposed_provenance::<Plain>(made) }
}

/// An engine, a heap with a slab in each of its lists, and an abandoned slab.
fn in_use() -> (&'static Plain, &'static Heap, OwnedSlab) {
    let engine = engine();
    // SAFETY: this thread alone knows the engine and its heaps.
    unsafe {
        let heap = engine.claim().unwrap();
        let other = engine.claim().unwrap();
        let abandoned = engine.malloc(other, 700, 16);
        engine.release(other);
        engine.abandon_parked(0);
        let abandoned = OwnedSlab::new(engine.page_map.slab_at(abandoned.addr()));
        for size in [48, 8192] {
            let blocks: Vec<_> = (0..4000).map(|_| engine.malloc(heap, size, 16)).collect();
            for block in blocks.iter().skip(1000) {
                engine.try_free(heap, *block).unwrap();
            }
        }
        engine.check(heap).unwrap();
        (engine, heap, abandoned)
    }
}

/// The first slab of the list of those of 48 bytes with free blocks.
fn partial(heap: &Heap) -> OwnedSlab {
    let class = classes::class_of_small(48);
    // SAFETY: the heap is this thread's.
    unsafe { heap.owner() }.with(|own| own.partial[class].first()).expect("a partial slab")
}

#[test]
fn corruption_is_named() {
    type Damage = fn(&Plain, &Heap, OwnedSlab);
    let damages: [(&str, Damage); 8] = [
        ("an abandoned slab knows that it is one", |_, _, abandoned| {
            abandoned.put(Place::Nowhere);
        }),
        ("every carved block is live or on its slab's list", |_, _, abandoned| {
            // SAFETY: every slab has an entry.
            unsafe { abandoned.entry(0) }.set_local(0);
        }),
        ("a heap owns the slabs on its lists", |_, heap, _| {
            partial(heap).owner.store(4096, Ordering::Relaxed);
        }),
        ("the page map names a slab for its start", |engine, heap, _| {
            engine.page_map.set(partial(heap).start(), UNIT, core::ptr::null());
        }),
        ("the page map names a slab for its start", |engine, heap, abandoned| {
            engine.page_map.set(partial(heap).start(), UNIT, abandoned.as_ptr());
        }),
        ("a heap counts the bytes of its empty slabs", |_, heap, _| {
            // SAFETY: the heap is this thread's.
            unsafe { heap.owner() }.with(|own| own.idle_bytes += UNIT);
        }),
        ("every carved block is live or on its slab's list", |_, heap, _| {
            let slab = partial(heap);
            // SAFETY: every slab has an entry.
            unsafe { slab.entry(0) }.set_local(0);
        }),
        ("the units add up", |engine, _, _| engine.locked(|shared| shared.spans.free += 1)),
    ];
    for (index, (invariant, damage)) in damages.into_iter().enumerate() {
        let (engine, heap, abandoned) = in_use();
        damage(engine, heap, abandoned);
        // SAFETY: this thread alone knows the engine.
        let found = unsafe { engine.check(heap) }.expect_err("the damage is seen");
        assert_eq!(found.invariant, invariant, "damage {index}");
    }
}

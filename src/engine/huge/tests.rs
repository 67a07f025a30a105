//! Huge blocks: kept mappings, graves, and what their figures say.

use proptest::prelude::*;

use super::*;
use crate::os::Mmap;

/// A header for a huge block, for ever.
fn header() -> HugeRef {
    let place = Box::leak(Box::new(HugeBlock::new()));
    // SAFETY: a header's room, for ever, and nobody else's.
    unsafe { HugeRef::create(place) }.unwrap()
}

fn mapping(pages: usize) -> Mapping {
    let bytes = pages * PAGE;
    let start = Mmap.map(bytes);
    assert!(!start.is_null());
    Mapping { start, bytes, used: bytes }
}

#[test]
fn a_request_gets_the_shortest_kept_mapping_that_wastes_at_most_an_eighth() {
    let mut huge = Box::new(Huge::new());
    for pages in [400, 440, 300] {
        assert!(huge.keep(mapping(pages)));
    }
    assert_eq!(huge.kept_bytes, 1140 * PAGE);
    assert!(huge.reuse(500 * PAGE).is_none(), "none is as long");
    assert!(huge.reuse(200 * PAGE).is_none(), "300 pages for 200 waste half");
    assert!(!huge.has(200 * PAGE) && huge.has(395 * PAGE));
    let found = huge.reuse(395 * PAGE).unwrap();
    assert_eq!(found.bytes, 400 * PAGE, "not the 440, which would do");
    // SAFETY: a whole mapping, and nobody's.
    assert!(unsafe { Mmap.unmap(found.start, found.bytes) });
    assert_eq!(huge.drop_kept(&Mmap), 740 * PAGE);
    assert_eq!(huge.kept_bytes, 0);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Any number of mappings of any sizes: what is kept stays below both bounds, and comes out
    /// once.
    #[test]
    fn what_is_kept_is_bounded_and_comes_out_once(
        asked in prop::collection::vec((any::<bool>(), 256..3000usize), 1..60),
    ) {
        let mut huge = Box::new(Huge::new());
        let mut inside = Vec::<usize>::new();
        for (keep, pages) in asked {
            let bytes = pages * PAGE;
            if keep {
                let new = mapping(pages);
                let total: usize = inside.iter().sum();
                let room = inside.len() < KEPT && total + bytes <= KEPT_BYTES;
                prop_assert_eq!(huge.keep(new), room);
                match room {
                    true => inside.push(bytes),
                    // SAFETY: a whole mapping that was not kept.
                    false => assert!(unsafe { Mmap.unmap(new.start, new.bytes) }),
                }
            } else {
                let best = inside.iter().copied()
                    .filter(|&kept| kept >= bytes && kept - bytes <= bytes / 8).min();
                prop_assert_eq!(huge.has(bytes), best.is_some());
                let found = huge.reuse(bytes);
                prop_assert_eq!(found.map(|found| found.bytes), best);
                if let Some(found) = found {
                    let place = inside.iter().position(|&kept| kept == found.bytes).unwrap();
                    inside.swap_remove(place);
                    // SAFETY: a whole mapping, and ours now.
                    assert!(unsafe { Mmap.unmap(found.start, found.bytes) });
                }
            }
            prop_assert_eq!(huge.kept_bytes, inside.iter().sum::<usize>());
        }
        huge.drop_kept(&Mmap);
    }
}

#[test]
fn a_block_is_found_by_any_of_its_addresses_and_its_grave_by_its_first() {
    let mut huge = Box::new(Huge::new());
    let blocks: Vec<_> = (0..3)
        .map(|pages| {
            let mapping = mapping(300 + pages);
            let header = header();
            mapping.start.expose_provenance();
            huge.add(header, mapping, mapping.bytes);
            (header, mapping)
        })
        .collect();
    assert_eq!((huge.count, huge.bytes), (3, 903 * PAGE));
    let (header, middle) = blocks[1];
    let start = middle.start.addr();
    let itself = Some((start, middle.bytes));
    assert_eq!(huge.around(start), itself);
    assert_eq!(huge.around(start + middle.bytes - 1), itself);
    assert_ne!(huge.around(start + middle.bytes), itself);
    assert_eq!(huge.grave(start), None);
    let gone = huge.remove(header);
    assert_eq!((gone.start.addr(), gone.bytes), (start, middle.bytes));
    assert_eq!(huge.around(start), None);
    assert_eq!(huge.grave(start), Some(middle.bytes));
    assert_eq!(huge.grave(start + PAGE), None);
    // A block in the same place has no grave.
    huge.add(header, gone, middle.bytes);
    assert_eq!(huge.grave(start), None);
    huge.release(&Mmap);
    assert_eq!((huge.count, huge.bytes), (0, 0));
}

#[test]
fn the_last_freed_of_many_are_remembered() {
    let mut huge = Box::new(Huge::new());
    let header = header();
    let place = |number: usize| (number + 1) * 301 * PAGE;
    for number in 0..4000 {
        let start = ptr::with_exposed_provenance_mut(place(number));
        huge.add(header, Mapping { start, bytes: 300 * PAGE, used: 300 * PAGE }, 300 * PAGE);
        huge.remove(header);
    }
    let remembered = |from: usize| {
        (from..4000)
            .filter(|&number| {
                huge.graves_of(place(number)).iter().any(|grave| grave.0 == place(number))
            })
            .count()
    };
    let mut remembered = remembered;
    assert_eq!(remembered(3000), 1000, "a set would have to be hit nine times");
}

#[test]
fn lengths_round_to_pages_and_stop_at_ptrdiff_max() {
    assert_eq!(mapping_bytes(1), Some(PAGE));
    assert_eq!(mapping_bytes(PAGE), Some(PAGE));
    assert_eq!(mapping_bytes(PAGE + 1), Some(2 * PAGE));
    let most = isize::MAX as usize / PAGE * PAGE;
    assert_eq!(mapping_bytes(most), Some(most));
    assert_eq!(mapping_bytes(isize::MAX as usize), None);
    assert_eq!(mapping_bytes(usize::MAX), None);
}

#[test]
fn what_lies_idle_behind_a_block_goes_back_with_the_kept_mappings() {
    let mut huge = Box::new(Huge::new());
    let whole = mapping(1000);
    assert!(huge.keep(Mapping { used: 600 * PAGE, ..whole }), "so much was used of it");
    assert!(huge.keep(mapping(300)));
    assert_eq!(huge.kept_bytes, 900 * PAGE);
    assert!(huge.reuse(1000 * PAGE).is_none(), "600 pages may be resident");
    let longest = huge.reuse_to_grow(20 * PAGE).unwrap();
    assert_eq!((longest.bytes, huge.kept_bytes), (1000 * PAGE, 300 * PAGE));
    let header = header();
    longest.start.expose_provenance();
    huge.add(header, longest, 20 * PAGE);
    assert_eq!((huge.bytes, huge.excess), (20 * PAGE, 580 * PAGE));
    let large = mapping(KEPT_BYTES / PAGE - 300 - 579);
    assert!(!huge.keep(large), "what lies behind the block counts");
    // SAFETY: a whole mapping, and nobody's.
    assert!(unsafe { Mmap.unmap(large.start, large.bytes) });
    // SAFETY: the mapping is that long, and this thread alone knows it.
    unsafe {
        longest.start.write(1);
        longest.start.add(50 * PAGE).write(2);
        longest.start.add(599 * PAGE).write(3);
    }
    huge.resize(header, longest, 60 * PAGE);
    assert_eq!((huge.bytes, huge.excess), (60 * PAGE, 540 * PAGE));
    assert_eq!(huge.drop_kept(&Mmap), (300 + 540) * PAGE);
    assert_eq!((huge.kept_bytes, huge.excess), (0, 0));
    // SAFETY: as above.
    unsafe {
        assert_eq!((longest.start.read(), longest.start.add(50 * PAGE).read()), (1, 2));
        assert_eq!(longest.start.add(599 * PAGE).read(), 0, "given back");
    }
    let now = Mapping::of(huge.block(header));
    assert_eq!((now.bytes, now.used), (1000 * PAGE, 60 * PAGE));
    huge.resize(header, now, 800 * PAGE);
    assert_eq!((huge.bytes, huge.excess), (800 * PAGE, 0));
    let freed = huge.remove(header);
    assert_eq!((freed.bytes, freed.used, huge.bytes), (1000 * PAGE, 800 * PAGE, 0));
    // SAFETY: a whole mapping, and nobody's.
    assert!(unsafe { Mmap.unmap(freed.start, freed.bytes) });
}

//! Huge blocks: kept mappings, graves, and what their figures say.

use proptest::prelude::*;

use super::mapping::NO_SEAMS;
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

fn whole(mapping: Mapping) -> Freed {
    Freed { mapping, seams: NO_SEAMS }
}

/// Gives back the real ones.
fn unmap(pieces: &Pieces) {
    for piece in pieces.all() {
        // SAFETY: nobody refers to them.
        assert!(unsafe { Mmap.unmap(piece.start, piece.bytes) });
    }
}

/// A mapping that is only counted.
fn counted(start: usize, pages: usize) -> Mapping {
    let bytes = pages * PAGE;
    Mapping { start: ptr::without_provenance_mut(start * PAGE), bytes, used: bytes }
}

#[test]
fn a_request_gets_the_shortest_that_is_long_enough_or_its_front() {
    let mut kept = Kept::new();
    for (start, pages) in [(1000, 400), (2000, 440), (3000, 300)] {
        assert!(kept.put(counted(start, pages)).is_none());
    }
    assert_eq!(kept.bytes, 1140 * PAGE);
    assert!(kept.take(500 * PAGE).is_none(), "none is as long");
    assert!(!kept.has(200 * PAGE) && kept.has(395 * PAGE));
    let found = kept.take(395 * PAGE).unwrap();
    assert_eq!(found.bytes, 400 * PAGE, "the rest is not worth a piece of its own");
    let front = kept.take(200 * PAGE).unwrap();
    assert_eq!((front.start.addr(), front.bytes), (3000 * PAGE, 200 * PAGE), "the rest is");
    let rest = kept.take(100 * PAGE).unwrap();
    assert_eq!((rest.start.addr(), rest.bytes), (3200 * PAGE, 100 * PAGE));
    assert_eq!(kept.bytes, 440 * PAGE);
}

#[test]
fn what_no_piece_is_long_enough_for_gets_several_the_longest_first() {
    let mut kept = Kept::new();
    for (start, pages) in [(1000, 400), (2000, 440), (3000, 300)] {
        assert!(kept.put(counted(start, pages)).is_none());
    }
    let pieces = kept.gather(900 * PAGE);
    let found: Vec<_> = pieces.all().iter().map(|piece| piece.start.addr() / PAGE).collect();
    assert_eq!(found, [2000, 1000, 3000]);
    assert_eq!(pieces.all().iter().map(|piece| piece.used).sum::<usize>(), 900 * PAGE);
    assert_eq!(kept.bytes, 240 * PAGE, "of the last only what is needed");
    let pieces = kept.gather(1000 * PAGE);
    assert_eq!((pieces.count(), kept.bytes), (1, 0), "fewer than asked for");
}

#[test]
fn a_block_comes_apart_into_its_pieces() {
    let all = |seams: &Seams, mapping| -> Vec<_> {
        let pieces = pieces_of(mapping, seams);
        pieces
            .all()
            .iter()
            .map(|p| (p.start.addr() / PAGE, p.bytes / PAGE, p.used / PAGE))
            .collect()
    };
    let mut seams = NO_SEAMS;
    assert_eq!(all(&seams, counted(100, 50)), [(100, 50, 50)]);
    (seams[0], seams[1]) = (20 * PAGE, 35 * PAGE);
    let parts = [(100, 20, 20), (120, 15, 15), (135, 15, 15)];
    assert_eq!(all(&seams, counted(100, 50)), parts);
    // It got shorter, or has been given back behind.
    assert_eq!(all(&seams, counted(100, 30)), [(100, 20, 20), (120, 10, 10)]);
    let idle = Mapping { used: 25 * PAGE, ..counted(100, 50) };
    assert_eq!(all(&seams, idle), [(100, 20, 20), (120, 15, 5), (135, 15, 0)]);
}

#[test]
fn what_nobody_needed_for_a_while_goes_back_and_no_more() {
    let mut huge = Box::new(Huge::new());
    let gone = |pieces: Pieces| {
        let pages = pieces.all().iter().map(|piece| piece.bytes / PAGE).sum::<usize>();
        unmap(&pieces);
        pages
    };
    let now = WHILE;
    assert_eq!(gone(huge.decay(&Mmap, now)), 0);
    assert_eq!(gone(huge.keep(whole(mapping(2000)), now)), 0);
    assert_eq!(gone(huge.decay(&Mmap, now + WHILE - 1)), 0);
    assert_eq!(gone(huge.decay(&Mmap, now + WHILE)), 0, "it was not kept all the time");
    let used = huge.kept.take(1500 * PAGE).unwrap();
    assert_eq!(gone(huge.keep(whole(used), now + WHILE)), 0);
    assert_eq!(gone(huge.decay(&Mmap, now + 2 * WHILE)), 500, "1,500 pages were needed");
    // Without a thread that looks at the time, a free does.
    assert_eq!(gone(huge.keep(whole(mapping(300)), now + 3 * WHILE)), 1500);
    assert_eq!(huge.drop_kept(&Mmap), 300 * PAGE);
}

#[test]
fn half_of_what_is_live_may_be_kept() {
    let mut huge = Box::new(Huge::new());
    let header = header();
    let live = KEPT_BYTES / PAGE * 4;
    huge.add(header, counted(1 << 20, live), NO_SEAMS, live * PAGE);
    let pieces = huge.keep(whole(counted(1, 2 * KEPT_BYTES / PAGE)), 0);
    assert_eq!((pieces.count(), huge.kept.bytes), (0, 2 * KEPT_BYTES));
    let freed = huge.remove(header);
    let pieces = huge.keep(Freed { mapping: counted(1 << 20, 100), ..freed }, 0);
    assert_eq!(huge.kept.bytes, KEPT_BYTES, "nothing is live any more");
    let gone: usize = pieces.all().iter().map(|piece| piece.bytes).sum();
    assert_eq!(gone, KEPT_BYTES + 100 * PAGE);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Any blocks that come and go, whole or put together: no page is in two places, none is lost,
    /// and the counters agree.
    #[test]
    fn every_page_is_kept_once_or_comes_out_once(
        asked in prop::collection::vec((0..4usize, 1..3000usize), 1..120),
    ) {
        let mut huge = Box::new(Huge::new());
        let mut outside = Vec::<(Mapping, Seams)>::new();
        let mut given_back = 0;
        let mut next = 1;
        for (now, (what, pages)) in asked.iter().copied().enumerate() {
            let now = now as u64 * 20;
            let bytes = pages * PAGE;
            match what {
                0 => {
                    next += pages + 1;
                    outside.push((counted(next - pages - 1, pages), NO_SEAMS));
                }
                1 => if let Some(taken) = huge.kept.take(bytes) {
                    prop_assert!(taken.used >= bytes && taken.used - bytes <= bytes / 8);
                    outside.push((taken, NO_SEAMS));
                },
                2 => for &piece in huge.kept.gather(bytes).all() {
                    outside.push((piece, NO_SEAMS));
                },
                _ => if !outside.is_empty() {
                    let (mapping, seams) = outside.swap_remove(pages % outside.len());
                    for piece in huge.keep(Freed { mapping, seams }, now).all() {
                        given_back += piece.bytes / PAGE;
                    }
                    prop_assert!(huge.kept.bytes <= KEPT_BYTES);
                },
            }
            let mut inside = Vec::new();
            huge.kept.retain(|piece| { inside.push(piece); true });
            prop_assert!(inside.len() <= kept::KEPT);
            prop_assert_eq!(huge.kept.bytes, inside.iter().map(|piece| piece.used).sum::<usize>());
            let mut all: Vec<_> = inside.iter().chain(outside.iter().map(|(mapping, _)| mapping))
                .map(|piece| (piece.start.addr() / PAGE, piece.bytes / PAGE)).collect();
            all.sort_unstable();
            prop_assert!(all.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
            let made = next - 1 - asked[..=now as usize / 20].iter().filter(|a| a.0 == 0).count();
            prop_assert_eq!(all.iter().map(|piece| piece.1).sum::<usize>() + given_back, made);
        }
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
            huge.add(header, mapping, NO_SEAMS, mapping.bytes);
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
    let gone = huge.remove(header).mapping;
    assert_eq!((gone.start.addr(), gone.bytes), (start, middle.bytes));
    assert_eq!(huge.around(start), None);
    assert_eq!(huge.grave(start), Some(middle.bytes));
    assert_eq!(huge.grave(start + PAGE), None);
    // A block in the same place has no grave.
    huge.add(header, gone, NO_SEAMS, middle.bytes);
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
        let mapping = Mapping { start, bytes: 300 * PAGE, used: 300 * PAGE };
        huge.add(header, mapping, NO_SEAMS, 300 * PAGE);
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
    assert_eq!(mapping_bytes(1), Some(STEP));
    assert_eq!(mapping_bytes(STEP), Some(STEP));
    assert_eq!(mapping_bytes(STEP + 1), Some(2 * STEP));
    let most = isize::MAX as usize / STEP * STEP;
    assert_eq!(mapping_bytes(most), Some(most));
    assert_eq!(mapping_bytes(isize::MAX as usize), None);
    assert_eq!(mapping_bytes(usize::MAX), None);
}

#[test]
fn what_lies_idle_behind_a_block_goes_back_with_the_kept_mappings() {
    let mut huge = Box::new(Huge::new());
    let long = Mapping { used: 600 * PAGE, ..mapping(1000) };
    assert_eq!(huge.keep(whole(long), 0).count(), 0, "so much was used of it");
    assert_eq!(huge.keep(whole(mapping(300)), 0).count(), 0);
    assert_eq!(huge.kept.bytes, 900 * PAGE);
    assert!(huge.kept.take(1000 * PAGE).is_none(), "600 pages may be resident");
    let longest = huge.kept.take_to_grow(20 * PAGE).unwrap();
    assert_eq!((longest.bytes, huge.kept.bytes), (1000 * PAGE, 300 * PAGE));
    let header = header();
    longest.start.expose_provenance();
    huge.add(header, longest, NO_SEAMS, 20 * PAGE);
    assert_eq!((huge.bytes, huge.excess), (20 * PAGE, 580 * PAGE));
    let gone = huge.keep(whole(mapping(KEPT_BYTES / PAGE - 300 - 579)), 0);
    assert!(gone.count() > 0, "what lies behind the block counts");
    assert_eq!(huge.kept.bytes, KEPT_BYTES - 580 * PAGE);
    unmap(&gone);
    // SAFETY: the mapping is that long, and this thread alone knows it.
    unsafe {
        longest.start.write(1);
        longest.start.add(50 * PAGE).write(2);
        longest.start.add(300 * PAGE).write(3);
    }
    huge.resize(header, longest, 60 * PAGE);
    assert_eq!((huge.bytes, huge.excess), (60 * PAGE, 540 * PAGE));
    let kept = huge.kept.bytes;
    assert_eq!(huge.drop_kept(&Mmap), kept + 540 * PAGE);
    assert_eq!((huge.kept.bytes, huge.excess), (0, 0));
    // SAFETY: the mapping is still that long, and this thread alone knows it.
    unsafe {
        assert_eq!((longest.start.read(), longest.start.add(50 * PAGE).read()), (1, 2));
        assert_eq!(longest.start.add(300 * PAGE).read(), 0, "given back");
    }
    let now = huge.block(header).mapping();
    assert_eq!((now.bytes, now.used), (1000 * PAGE, 60 * PAGE));
    huge.resize(header, now, 800 * PAGE);
    assert_eq!((huge.bytes, huge.excess), (800 * PAGE, 0));
    let freed = huge.remove(header).mapping;
    assert_eq!((freed.bytes, freed.used, huge.bytes), (1000 * PAGE, 800 * PAGE, 0));
    // SAFETY: a whole mapping, and nobody's.
    assert!(unsafe { Mmap.unmap(freed.start, freed.bytes) });
}

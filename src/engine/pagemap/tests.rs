//! The page map against a plain one, over the whole address space, and its table in front.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::os::Mmap;

/// A map of its own: 2.25 MiB of zeroes, which an empty one is.
fn page_map() -> Box<PageMap> {
    // SAFETY: zeroes are null and 0 in the atomics, and a slab that nobody owns.
    unsafe { Box::<PageMap>::new_zeroed().assume_init() }
}

/// A slab that is only an address.
fn slab(number: usize) -> *const Slab {
    ptr::without_provenance(0x1000_0000 + number * 64)
}

/// Half an address space's units.
const UNITS: usize = 1 << (ADDRESS_BITS - UNIT_BITS);

fn set(page_map: &PageMap, unit: usize, units: usize, slab: *const Slab) {
    assert!(page_map.prepare(&Mmap, unit * UNIT, units * UNIT));
    page_map.set(unit * UNIT, units * UNIT, slab);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Units in a few regions, some of them 16 GiB apart, set and cleared in any order.
    #[test]
    fn every_address_finds_its_slab(
        steps in prop::collection::vec(
            (prop_oneof![
                Just(0), Just(NEAR), Just(3 * NEAR), Just(UNITS - 100), Just((1 << LEAF_BITS) - 5),
            ],
             0..60usize, 1..17usize, any::<bool>()),
            1..60,
        ),
    ) {
        let mut page_map = page_map();
        let mut model = HashMap::<usize, *const Slab>::new();
        let mut last = HashMap::<usize, (usize, *const Slab)>::new();
        for (number, (region, unit, units, clear)) in steps.into_iter().enumerate() {
            let (unit, units) = (region + unit, units.min(UNITS - region - unit));
            let value = if clear { ptr::null() } else { slab(number + 1) };
            set(&page_map, unit, units, value);
            for unit in unit..unit + units {
                model.insert(unit, value);
                last.insert(unit % NEAR, (unit, value));
            }
        }
        for (&unit, &slab) in &model {
            prop_assert_eq!(page_map.slab_at(unit * UNIT), slab);
            prop_assert_eq!(page_map.slab_at(unit * UNIT + UNIT - 1), slab);
            let near = page_map.slab_near(unit * UNIT + 17);
            let (_, newest) = last[&(unit % NEAR)];
            match newest.is_null() {
                true => prop_assert_eq!(near, &raw const page_map.nothing),
                false => prop_assert_eq!(near, newest),
            }
        }
        page_map.release(&Mmap);
    }
}

#[test]
fn addresses_that_no_program_has_find_nothing() {
    let page_map = page_map();
    for address in [0, 1, UNIT, usize::MAX, 1 << ADDRESS_BITS, (1 << ADDRESS_BITS) - 1, 1 << 63] {
        assert!(page_map.slab_at(address).is_null(), "{address:#x}");
        assert_eq!(page_map.slab_near(address), &raw const page_map.nothing);
    }
}

#[test]
fn a_leaf_that_is_not_to_be_had_is_said_and_the_map_stays() {
    struct Failing;
    // SAFETY: gives no memory at all.
    unsafe impl Os for Failing {
        fn map(&self, _: usize) -> *mut u8 {
            ptr::null_mut()
        }
        unsafe fn unmap(&self, _: *mut u8, _: usize) -> bool {
            false
        }
        unsafe fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
            ptr::null_mut()
        }
        fn reserve(&self, _: usize, _: usize) -> *mut u8 {
            ptr::null_mut()
        }
        unsafe fn decommit(&self, _: *mut u8, _: usize) -> bool {
            false
        }
        fn entropy(&self) -> u64 {
            0
        }
    }
    let mut page_map = page_map();
    set(&page_map, 7, 1, slab(1));
    assert!(page_map.prepare(&Failing, 8 * UNIT, UNIT), "the leaf is there");
    assert!(!page_map.prepare(&Failing, UNIT << LEAF_BITS, UNIT), "this one is not");
    assert!(!page_map.prepare(&Mmap, 2 << ADDRESS_BITS, UNIT), "no such address can be");
    assert_eq!(page_map.slab_at(7 * UNIT), slab(1));
    page_map.release(&Mmap);
}

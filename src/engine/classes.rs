//! Size classes: which block sizes slabs are cut into. A pure function of the request.
//!
//! ```text
//!  class      0   1  ..   7 |   8   9  ..  15 |  16  17  ..  23 | ... | 104 ..    111
//!  bytes     16  32  .. 128 | 144 160  .. 256 | 288 320  .. 512 | ... |  .. 1,048,576
//!  step           16        |       16        |       32        | ... |   65,536
//! ```
//!
//! Eight classes between one power of two and the next: a request above 128 bytes wastes less than
//! one part in nine of its block, below the 12.5 % that four bits of mantissa can't promise. Slabs
//! of a class whose size is a multiple of an alignment have every block so aligned, because spans
//! start at multiples of [`UNIT`]: no block is made larger for its alignment than the next such
//! class.

/// Bytes of the unit that spans are made of. A slab starts at a multiple of it.
pub const UNIT: usize = 1 << 16;

/// The alignment of every block, in bytes.
pub const MIN_ALIGN: usize = 16;

/// How many classes there are.
pub const CLASSES: usize = 112;

/// The largest block that is cut from a slab, in bytes. What is larger has a mapping of its own.
pub const LARGEST: usize = 1 << 20;

/// The largest request that [`class_of_small`] answers, in bytes.
pub const SMALL: usize = 1 << 15;

/// The largest alignment that slabs serve, in bytes.
pub const MAX_SLAB_ALIGN: usize = UNIT;

/// The classes of requests up to [`SMALL`], by 16-byte steps.
static CLASS_OF: [u8; SMALL / 16 + 1] = {
    let mut table = [0; SMALL / 16 + 1];
    let mut step = 0;
    while step <= SMALL / 16 {
        table[step] = compute(step * 16) as u8;
        step += 1;
    }
    table
};

/// Bytes of a block of each class.
static SIZES: [u32; CLASSES] = {
    let mut sizes = [0; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        sizes[class] = compute_size(class) as u32;
        class += 1;
    }
    sizes
};

/// The class of the smallest blocks that hold `size` bytes, for `size` up to [`SMALL`].
#[inline(always)]
pub fn class_of_small(size: usize) -> usize {
    debug_assert!(size <= SMALL);
    // SAFETY: `size` is at most SMALL, which an assertion checks in tests, so the step is at most
    // SMALL / 16, the table's last index.
    usize::from(unsafe { *CLASS_OF.get_unchecked((size + 15) >> 4) })
}

/// The class of the smallest blocks that hold `size` bytes, for `size` up to [`LARGEST`].
#[inline(always)]
pub fn class_of_large(size: usize) -> usize {
    debug_assert!(size <= LARGEST);
    compute(size)
}

/// The class of the smallest blocks that hold `size` bytes at a multiple of `align`, a power of
/// two; `None` when slabs have none.
pub fn class_of(size: usize, align: usize) -> Option<usize> {
    if size > LARGEST || align > MAX_SLAB_ALIGN {
        return None;
    }
    let mut class = compute(size);
    // The powers of two are among the sizes, so the walk ends, and within eight steps of the first
    // class of at least `align` bytes.
    class = class.max(compute(align));
    while class < CLASSES && !size_of(class).is_multiple_of(align) {
        class += 1;
    }
    (class < CLASSES).then_some(class)
}

/// Bytes of a block of `class`.
#[inline(always)]
pub fn size_of(class: usize) -> usize {
    SIZES[class] as usize
}

/// Units of the span that slabs of `class` are cut from: as many as give 4,096 of the smallest
/// blocks, two while those give sixteen, four while those give eight, then what one block needs.
/// One for all small ones would do, but the headers of many slabs then crowd the first cache.
pub const fn units(class: usize) -> usize {
    match compute_size(class) {
        0..=16 => 1,
        17..=8192 => 2,
        8193..=32768 => 4,
        larger => larger.div_ceil(UNIT),
    }
}

/// Blocks of a slab of `class`. Under loom two at most, so that the rare paths run.
pub const fn capacity(class: usize) -> usize {
    let blocks = units(class) * UNIT / compute_size(class);
    if cfg!(loom) && blocks > 2 { 2 } else { blocks }
}

const fn compute(size: usize) -> usize {
    if size <= 16 {
        return 0;
    }
    if size <= 128 {
        return size.div_ceil(16) - 1;
    }
    let last = size - 1;
    let power = last.ilog2() as usize;
    (power - 7) * 8 + (last >> (power - 3)) % 8 + 8
}

const fn compute_size(class: usize) -> usize {
    if class < 8 {
        return 16 * (class + 1);
    }
    let (power, step) = ((class - 8) / 8, (class - 8) % 8);
    (128 << power) + (16 << power) * (step + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_gets_the_smallest_class_that_holds_it() {
        assert_eq!((SMALL, LARGEST), (32 << 10, 1 << 20), "the tables are of these sizes");
        let mut expected = 0;
        for size in 0..=LARGEST {
            if size > size_of(expected) {
                expected += 1;
            }
            assert_eq!(class_of(size, 1), Some(expected), "{size}");
            assert_eq!(class_of_large(size), expected, "{size}");
            if size <= SMALL {
                assert_eq!(class_of_small(size), expected, "{size}");
            }
        }
        assert_eq!(expected, CLASSES - 1);
        assert_eq!(class_of(LARGEST + 1, 1), None);
        assert_eq!(class_of(usize::MAX, 1), None);
    }

    #[test]
    fn waste_is_below_an_eighth_above_128_bytes() {
        for class in 0..CLASSES {
            let size = size_of(class);
            assert!(size.is_multiple_of(16));
            let smallest = if class == 0 { 1 } else { size_of(class - 1) + 1 };
            if size <= 128 {
                assert_eq!(size - smallest, 15, "16-byte steps");
            } else {
                assert!((size - smallest) * 8 < size, "{smallest} bytes in {size}");
            }
        }
    }

    #[test]
    fn aligned_requests_get_the_smallest_class_that_is_a_multiple() {
        for align in (0..=16).map(|power| 1 << power) {
            for size in (0..=LARGEST).step_by(61).chain([align - 1, align, align + 1, 3 * align]) {
                let fits = |&class: &usize| {
                    size_of(class) >= size.max(1) && size_of(class).is_multiple_of(align)
                };
                let expected = (0..CLASSES).find(fits);
                if size <= LARGEST {
                    assert_eq!(class_of(size, align), expected, "{size} at {align}");
                }
            }
        }
        assert_eq!(class_of(1, 2 * MAX_SLAB_ALIGN), None);
        // A page asked for costs a page: nothing is doubled.
        assert_eq!(class_of(4096, 4096).map(size_of), Some(4096));
        assert_eq!(class_of(5000, 4096).map(size_of), Some(8192));
    }

    #[test]
    fn slabs_hold_what_their_ledgers_can_name() {
        for class in 0..CLASSES {
            let blocks = units(class) * UNIT / size_of(class);
            assert!((1..=4096).contains(&blocks), "{class}");
            assert_eq!(capacity(class), blocks, "{class}");
            // The divisibility test of `slab` needs offsets and sizes below 2^32.
            assert!(units(class) * UNIT <= 1 << 20);
        }
    }
}

//! Sizes that most checks ask for.

/// Sizes that meet every way an allocator may serve a request: classes, pages, runs, mappings.
pub(crate) const SIZES: [usize; 16] = [
    1,
    8,
    16,
    24,
    100,
    512,
    1024,
    4000,
    4096,
    16 << 10,
    40_000,
    128 << 10,
    256 << 10,
    1 << 20,
    (2 << 20) + 100,
    8 << 20,
];

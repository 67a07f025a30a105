//! What settling the system's allocator does, in a process where nobody else allocates large
//! blocks: glibc counts its mappings for the whole process.

use std::hint::black_box;

use drystone_peers::system;

/// Before, a block of 20 MiB has a mapping of its own; after, one comes from the heap, although no
/// block of that size was freed.
#[test]
fn settling_raises_the_threshold_for_mappings() {
    // Opaque, or the compiler, which knows these functions, leaves out the calls.
    let system = black_box(system::CALLS);
    // SAFETY: each block is freed once; mallinfo2 has no preconditions.
    unsafe {
        let mapped = || libc::mallinfo2().hblks;
        let none = mapped();
        let before = (system.malloc)(20 << 20);
        assert_eq!(mapped(), none + 1, "a block of 20 MiB was not mapped to begin with");
        system::settle();
        let after = (system.malloc)(20 << 20);
        assert!(!before.is_null() && !after.is_null());
        assert_eq!(mapped(), none + 1, "settling did not raise the threshold");
        (system.free)(before);
        (system.free)(after);
    }
}

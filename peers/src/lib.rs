//! Other allocators, linked in for the benchmarks: what ours are measured against.
//!
//! Each module holds one allocator as a table of functions ([`drystone_workloads::calls::Calls`])
//! under names of its own for the linker, the version that was linked, and a way to give idle
//! memory back; [`all`] has them as values. Nothing here replaces the process's own allocator. For
//! the benchmarks only: no other package may use it.
//!
//! | allocator | is there | needs |
//! |---|---|---|
//! | [`system`], [`mimalloc`], [`rpmalloc`] | always | a C compiler |
//! | `jemalloc`, `snmalloc` | with the feature `all-peers` | a shell and make; a C++20 compiler |
#![warn(unreachable_pub)]

#[cfg(feature = "all-peers")]
pub mod jemalloc;
mod locked;
pub mod mimalloc;
pub mod peer;
pub mod rpmalloc;
#[cfg(feature = "all-peers")]
pub mod snmalloc;
pub mod system;

use peer::Peer;

/// All that are linked, in the order in which they are measured.
#[must_use]
pub fn all() -> Vec<Peer> {
    vec![
        system::peer(),
        mimalloc::peer(),
        rpmalloc::peer(),
        #[cfg(feature = "all-peers")]
        jemalloc::peer(),
        #[cfg(feature = "all-peers")]
        snmalloc::peer(),
    ]
}

#[cfg(test)]
mod tests {
    use drystone_workloads::heap::Heap;

    /// Every function of every one allocates blocks that its own free takes.
    #[test]
    fn every_function_does_what_its_name_says() {
        for peer in super::all() {
            let _inside = peer.thread.enter();
            let heap = Heap::opaque(peer.calls);
            for (_, block) in heap.one_from_each_function() {
                if let Some(owns) = peer.owns {
                    assert!(owns(block.addr()), "{} does not know its block", peer.name);
                }
                // SAFETY: the block is live, the peer's, and not used again.
                unsafe { heap.free(block) };
            }
            (peer.settle)();
            assert!(!peer.version.is_empty());
        }
    }
}

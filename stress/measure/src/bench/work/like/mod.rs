//! Rows after the patterns of published benchmark programs, and of two kinds of program that most
//! know. None holds code of theirs: each was written from the description that is named.
//!
//! | row | pattern | described in |
//! |---|---|---|
//! | `like/larson` | a server's threads replace blocks and hand them on | Larson and Krishnan, "Memory Allocation for Long-Running Server Applications", ISMM 1998 |
//! | `like/malloc-test` | blocks freed by other threads, in batches | Lever and Boreham, "malloc() Performance in a Multithreaded Linux Environment", USENIX 2000; the form with threads that only allocate and threads that only free: Kuszmaul, "SuperMalloc", ISMM 2015 |
//! | `like/t-test` | malloc, calloc, realloc and free at random, by generations of threads | Gloger, "Dynamic memory allocator implementations in Linux system libraries", 1997 |
//! | `like/barnes` | a chain of bodies, and a tree over them in each step | Barnes and Hut, "A hierarchical O(N log N) force-calculation algorithm", Nature 324, 1986 |
//! | `like/espresso` | covers of cubes of all sizes and ages | Brayton et al., "Logic Minimization Algorithms for VLSI Synthesis", 1984; as an allocator's benchmark: Zorn and Grunwald, "Empirical Measurements of Six Allocation-intensive C Programs", 1992 |
//! | `like/cfrac` | small numbers, each result a block of its own, and chains of them | Morrison and Brillhart, "A Method of Factoring and the Factorization of F7", Math. Comp. 29, 1975; as an allocator's benchmark: Zorn and Grunwald |
//! | `like/cache-scratch` | a thread frees a block that lies beside another thread's | Berger et al., "Hoard", ASPLOS 2000: passive false sharing |
//! | `like/cache-thrash` | threads write to small blocks of their own | the same: active false sharing |
//! | `like/pareto` | random sizes over 262,144 slots, of which a fifth get four fifths of the turns | Hare, "Testing Memory Allocators: ptmalloc2 vs tcmalloc vs hoard vs jemalloc While Trying to Simulate Real-World Loads", 2018 |
//! | `like/json` | a document is read into a tree, written, and dropped | RFC 8259 for its form |
//! | `like/key-value` | entries of three blocks are set, looked up and deleted | Atikoglu et al., "Workload Analysis of a Large-Scale Key-Value Store", SIGMETRICS 2012, for the sizes |
//!
//! A block holds a value that depends on its place in the row, at its beginning and its end, and
//! both are read back before it is freed: two owners of one block can't agree. Each pass also
//! reaches a result that is known beforehand, by a number of calls that is.

mod bodies;
mod cache;
mod document;
mod logic;
mod meter;
mod numbers;
mod slots;
mod stamp;
mod store;
mod threads;

use crate::bench::suite::Like;
use crate::bench::work::passes::Work;

/// Makes a row's data.
pub fn prepare(like: Like) -> Work {
    match like {
        Like::Larson => threads::larson(),
        Like::MallocTest => threads::malloc_test(),
        Like::TTest => threads::t_test(),
        Like::Barnes => bodies::barnes(),
        Like::Espresso => logic::espresso(),
        Like::Cfrac => numbers::cfrac(),
        Like::CacheScratch => cache::scratch(),
        Like::CacheThrash => cache::thrash(),
        Like::Pareto => slots::pareto(),
        Like::Json => document::json(),
        Like::KeyValue => store::key_value(),
    }
}

#[cfg(test)]
mod tests {
    use drystone_harness::library;
    use drystone_workloads::heap::Heap;

    use crate::bench::suite::{self, Kind};

    /// Passes of every row come to the results and to the number of calls that are known.
    #[test]
    fn every_row_reaches_its_results_again_and_again() {
        let heap = Heap::opaque(library::functions_of_this_process(None).unwrap());
        for row in suite::rows(true).unwrap() {
            if let Kind::Like(like) = row.kind {
                let work = super::prepare(like);
                let mut run = (work.start)(heap);
                (0..3).for_each(|_| assert!(run(1).as_nanos() > 0, "{}", row.name));
            }
        }
    }
}

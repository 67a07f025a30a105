//! The benchmarks: one process, every allocator side by side, ids `group/allocator/parameter`. How
//! to run them, the groups and the folders: `README.md` beside this file.
//!
//! criterion prints the time of one iteration and the throughput. What an iteration is each group
//! says; the throughput is always in *operations* per second, and an operation is one call of
//! malloc, calloc, realloc, aligned_alloc or free, on whatever thread. A time per operation is
//! therefore comparable between groups, and is the throughput's inverse.

mod allocators;
mod groups;
mod harness;

fn main() {
    let allocators = allocators::all();
    let _inside = allocators::enter(&allocators);
    if groups::variables::serve_if_child(&allocators) {
        return;
    }
    allocators::verify(&allocators);
    allocators::announce(&allocators);
    harness::keep_a_second_thread();
    let mut criterion = harness::criterion();
    for group in groups::ALL {
        group(&mut criterion, &allocators);
    }
    criterion.final_summary();
    harness::reject_a_run_of_nothing();
}

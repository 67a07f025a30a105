//! The benchmarks: one process, every subject side by side, ids `group/subject/parameter`. How to
//! run them, the groups and the folders: `README.md` beside this file.
//!
//! criterion prints the time of one iteration and the throughput. What an iteration is each group
//! says; the throughput is always in *operations* per second, and an operation is one call of
//! malloc, calloc, realloc, aligned_alloc or free, on whatever thread. A time per operation is
//! therefore comparable between groups, and is the throughput's inverse.

mod groups;
mod harness;
mod subjects;

fn main() {
    let subjects = subjects::all();
    let _inside = subjects::enter(&subjects);
    if groups::alone::quarantine::serve_if_child(&subjects) {
        return;
    }
    subjects::verify(&subjects);
    subjects::announce(&subjects);
    harness::keep_a_second_thread();
    let mut criterion = harness::criterion();
    for group in groups::ALL {
        group(&mut criterion, &subjects);
    }
    criterion.final_summary();
    harness::reject_a_run_of_nothing();
}

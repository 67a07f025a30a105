//! Groups on what a variable of `drystone` costs.
//!
//! A process reads it when it starts. So a child does the work, this program once more, and says
//! how long it took:
//!
//! ```text
//! criterion ── "passes\n" ──► child, VARIABLE=value
//!           ◄─ "nanoseconds\n" ──
//! ```

mod child;
pub mod guard;
pub mod quarantine;

use crate::allocators::Allocator;

/// If this process is a child, does its part. Whether it was.
///
/// # Panics
/// As [`child::serve`].
pub fn serve_if_child(allocators: &[Allocator]) -> bool {
    let Some(name) = child::own_variable() else { return false };
    let mut all = [quarantine::VARIABLE, guard::VARIABLE].into_iter();
    let variable = all.find(|variable| variable.name == name);
    child::serve(&variable.expect("the parent names one of them"), allocators);
    true
}

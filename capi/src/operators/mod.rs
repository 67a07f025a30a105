//! C++'s operators `new` and `delete`, in all their forms.
//!
//! All of them, because half a family is worse than none: a program that is linked to another
//! allocator would take its blocks from that one's `operator new`, and hand them to this one's
//! `free`. They do what the runtime's own do, one call less deep, and the sized ones look at the
//! size.
//!
//! A program may replace some of them, and then the others must call those
//! ([new.delete.single] and [new.delete.array] in C++17): only the program knows what its
//! `operator new` gave it. So what each does is decided once, when the process starts or at the
//! first call, whichever comes first: each is one jump through the [table].
//!
//! | file | holds |
//! |---|---|
//! | `symbols` | the symbols, in assembler |
//! | `table` | the operators, and what each does |
//! | `decide` | whose operators there are |
//! | `new`, `delete` | the operators of a program that has none of its own |
//! | `runtime` | the C++ runtime's functions for a failure |
//!
//! Nothing of the runtime is linked to: its functions are looked up. A library that is loaded while
//! the program runs, and that replaces some operators for itself, is not seen: the others come
//! here, and its blocks are reported as foreign.

mod decide;
mod delete;
mod new;
mod runtime;
mod symbols;
mod table;

pub(crate) use decide::decide;

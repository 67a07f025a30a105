//! The process around the heap: the variables that it is started with, its stderr, its calls.
//!
//! Each part uses only those above it in this table. Nothing here allocates, and nothing here but
//! [`calls`] is on the way of a call that is no mistake.
//!
//! | part | holds |
//! |---|---|
//! | [`text`] | texts of bounded length, on the stack or in a mapping |
//! | [`stderr`] | lines now, and the stderr that a table needs at exit |
//! | [`environment`] | the variables: their names, meanings and values |
//! | [`figures`] | where figures go at exit, as `DRYSTONE_STATS` says |
//! | [`calls`] | calls by function, counted when figures are asked for |

pub mod calls;
pub mod environment;
pub mod figures;
pub mod stderr;
pub mod text;

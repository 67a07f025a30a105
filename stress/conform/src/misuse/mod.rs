//! Misuse scoring: a mistake in a process of its own, and what the allocator makes of it.
//!
//! | end | means |
//! |---|---|
//! | reported | the allocator's own message names the mistake, and the process dies by its signal, before the call returns |
//! | deferred report | the same, after the call returned |
//! | crash | it dies in any other way: no message, or one that names something else |
//! | hang | it is not done when its time is up |
//! | two owners | nothing, and then two live blocks share memory |
//! | then fails | nothing, and then a request fails though memory is there |
//! | silent | nothing |
//!
//! A write is no call: there every report up to the process's end counts as reported. Racing frees
//! have no order: there a report up to the end of the racing threads and the owner's next request
//! does.
//!
//! A process that does not come to the mistake is a finding, whoever the allocator is: what goes
//! before is right.
//!
//! The benign twin of a mistake does all that it does but the mistake itself, and must end well.

pub mod act;
pub mod messages;
pub mod score;

//! How a panic ends a child: the harness in it has failed, whatever the allocator did.

use std::panic;

use drystone_harness::exit;

use crate::model::fork_page;
use crate::model::message::{self, Message};

/// A worker that panics would leave the others waiting at a barrier for ever.
pub fn end_at_a_panic() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        print(panic);
        // A forked child's parent says so, from its exit code: what it would print with, another
        // thread may hold.
        if fork_page::page().is_none() {
            message::send(&Message::Panicked);
        }
        exit::now(exit::PANICKED);
    }));
}

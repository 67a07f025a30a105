//! A Rust program whose every block is Drystone's:
//!
//! ```console
//! $ cargo run --example global_allocator              # counts words
//! $ cargo run --example global_allocator -- mistake   # frees a block twice: a report, and SIGABRT
//! $ DRYSTONE_HELP=1 cargo run --example global_allocator
//! ```

use std::alloc::{GlobalAlloc, Layout};
use std::collections::BTreeMap;
use std::thread;

use drystone::Drystone;

#[global_allocator]
static HEAP: Drystone = Drystone;

/// How often each word of `text` occurs.
fn words(text: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    counts
}

/// Frees a block twice, as unsafe code may do by mistake.
fn mistake() {
    let layout = Layout::new::<[u64; 12]>();
    // SAFETY: the layout is not empty. The second free is the mistake; Drystone reports it.
    unsafe {
        let block = HEAP.alloc(layout);
        HEAP.dealloc(block, layout);
        HEAP.dealloc(block, layout);
    }
}

fn main() {
    let text =
        "every stone is chosen to fit and every stone is held by every other stone ".repeat(100);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let text = text.clone();
            thread::spawn(move || words(&text))
        })
        .collect();
    let counts: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    println!("every: {}, stone: {}", counts[0]["every"], counts[3]["stone"]);

    let live = HEAP.stats().live_bytes;
    let megabyte = vec![0u8; 1 << 20];
    println!("a megabyte more is live: {}", HEAP.stats().live_bytes >= live + megabyte.len());
    drop(megabyte);

    println!("the heap is sound: {}", HEAP.check().is_ok());
    if std::env::args().nth(1).as_deref() == Some("mistake") {
        mistake();
    }
}

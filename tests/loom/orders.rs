//! Loom with the remedy of `sync::modelled` explores an order that it would forget.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use drystone::internals::sync::modelled::AtomicUsize;
use loom::sync::atomic::Ordering;

use crate::explore::explore;

/// One thread loads, another loads and stores: the first must be seen to load after the store.
#[test]
fn a_load_before_a_store_hides_no_order() {
    static SEEN: AtomicBool = AtomicBool::new(false);
    explore(None, || {
        let value = Arc::new(AtomicUsize::new(0));
        let other = {
            let value = value.clone();
            loom::thread::spawn(move || {
                value.load(Ordering::Relaxed);
                value.store(1, Ordering::Relaxed);
            })
        };
        if value.load(Ordering::Relaxed) == 1 {
            SEEN.store(true, Relaxed);
        }
        other.join().unwrap();
    });
    assert!(SEEN.load(Relaxed), "the load was never explored behind the store");
}

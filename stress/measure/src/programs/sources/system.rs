//! A Rust program on the system's allocator, which is whatever was preloaded: threads, channels,
//! maps.

use std::alloc::System;
use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;

#[global_allocator]
static HEAP: System = System;

#[repr(align(256))]
#[derive(Clone)]
struct Keystone([u8; 300]);

fn work(seed: u64) -> BTreeMap<String, Vec<u64>> {
    let mut state = seed * 2 + 1;
    let mut map = BTreeMap::<String, Vec<u64>>::new();
    for round in 0..60_000_u64 {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let key = format!("stone {}", (state >> 40) % 5000);
        map.entry(key).or_default().push(round);
        if round % 3 == 0 {
            map.remove(&format!("stone {}", (state >> 20) % 5000));
        }
    }
    map
}

fn main() {
    let (sender, receiver) = mpsc::channel();
    let threads: Vec<_> = (0..4)
        .map(|seed| {
            let sender = sender.clone();
            thread::spawn(move || {
                // Freed by the receiver.
                for (key, list) in work(seed) {
                    sender.send((seed, key, list)).expect("the receiver waits");
                }
            })
        })
        .collect();
    drop(sender);
    let mut sums = [0_u64; 4];
    for (seed, key, list) in receiver {
        sums[seed as usize] += key.len() as u64 + list.iter().sum::<u64>();
    }
    for thread in threads {
        thread.join().expect("no thread panics");
    }
    println!("{sums:?}");
    let stones: Vec<_> = (0..1000).map(|number| Box::new(Keystone([number as u8; 300]))).collect();
    assert!(stones.iter().all(|stone| (&raw const **stone).addr() % 256 == 0));
    println!("{}", stones.iter().map(|stone| u64::from(stone.0[299])).sum::<u64>());
    let caught = std::panic::catch_unwind(|| {
        let block = vec![1; 1000];
        assert!(block.is_empty(), "it is not");
    });
    println!("{}", caught.is_err());
}

//! Checks an allocator of one's own: `cargo run -p drystone-checker --example own_allocator --
//! overlap`.
//!
//! Without an argument the allocator is sound, and the program says how much it has done. With
//! `overlap` it lets two blocks share bytes now and then, and the checker finds the first.

mod toy;

use std::process::ExitCode;
use std::sync::OnceLock;
use std::{env, thread};

use drystone_checker::{Allocator, Checker, Global};
use toy::{Fault, Toy};

static FAULT: OnceLock<Fault> = OnceLock::new();

struct Local;

impl Global for Local {
    type Allocator = Toy;

    fn get() -> &'static Toy {
        static SOUND: Toy = Toy::new(Fault::None);
        static OVERLAPPING: Toy = Toy::new(Fault::Overlap);
        if FAULT.get() == Some(&Fault::Overlap) { &OVERLAPPING } else { &SOUND }
    }
}

fn main() -> ExitCode {
    let fault = match env::args().nth(1).as_deref() {
        None => Fault::None,
        Some("overlap") => Fault::Overlap,
        Some(other) => {
            eprintln!("{other}: no such fault; give `overlap`, or nothing for a sound allocator");
            return ExitCode::from(2);
        }
    };
    FAULT.set(fault).expect("set once");

    // SAFETY: `get` answers the same all the time, once the fault is set; blocks lie in the toy's
    // arena, which nothing else uses.
    let checker = Checker::new(unsafe { Allocator::of_global::<Local>() }, 4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut worker = checker.worker();
                for round in 0..100 {
                    let blocks: Vec<_> =
                        (0..20).map(|n| worker.malloc(1 + (round * n) % 300)).collect();
                    blocks.into_iter().for_each(|block| worker.free(block));
                }
            });
        }
    });
    match checker.finish() {
        Ok(_) => println!("8,000 blocks were allocated and freed, and nothing was wrong"),
        Err(live) => println!("{live}"),
    }
    ExitCode::SUCCESS
}

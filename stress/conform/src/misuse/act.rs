//! The mistakes, made.
//!
//! What is done here is undefined: the process exists to see what the allocator makes of it.
//! Between the first step of a mistake and its last nothing else calls the allocator: threads are
//! there before, and the harness's memory is its own.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::thread;

use crate::child::block::Block;
use crate::child::heap::Heap;
use crate::mistake::Mistake;
use crate::outcome::{Checked, Verdict, Wrong, fail};
use crate::protocol::job::Line;
use crate::protocol::say::say;

/// Others that are freed between the two frees of a delayed one.
const OTHERS: usize = 1024;

/// A mistake to make, or its twin.
#[derive(Clone, Copy)]
struct Act {
    heap: &'static Heap,
    size: usize,
    twin: bool,
}

/// Makes the mistake, or all but it, and says what can be seen of it.
pub fn run(heap: &'static Heap, mistake: Mistake, size: usize, twin: bool) {
    let act = Act { heap, size, twin };
    let done = match mistake {
        Mistake::FreeTwice => act.free_twice(),
        Mistake::FreeInterleaved => act.free_behind(1),
        Mistake::FreeDelayed => act.free_behind(OTHERS),
        Mistake::FreeAfterNeighbour => act.free_after_neighbour(),
        Mistake::FreeRaceOfTwo => act.race(2),
        Mistake::FreeRaceOfFour => act.race(4),
        Mistake::FreeByAnother => act.free_by_another(),
        Mistake::FreeAfterExit => act.free_after_exit(),
        Mistake::ResizeFreed => act.resize_freed(),
        Mistake::FreeInterior => act.free_inside(|usable| match usable / 2 / 16 * 16 {
            0 => usable / 2,
            middle => middle,
        }),
        Mistake::FreeUnaligned => act.free_inside(|_| 1),
        Mistake::FreeStack => act.free_stack(),
        Mistake::FreeStatic => act.free_elsewhere(static_place(size)),
        Mistake::FreeUnmapped => act.free_unmapped(),
        Mistake::FreeWild => act.free_elsewhere(wild(size)),
        Mistake::SizedMismatch => act.sized_mismatch(),
        Mistake::WriteAfterFree => act.write_after_free(),
        Mistake::OverflowOne => act.overflow(1),
        Mistake::OverflowMany => act.overflow(32),
        Mistake::Underflow => act.underflow(),
    };
    match done {
        Ok(()) if twin => say(&Line::Done(Verdict::Pass)),
        Ok(()) => {}
        Err(wrong) => say(&Line::Done(Verdict::from(Err(wrong)))),
    }
}

impl Act {
    fn block(self) -> Result<Block, Wrong> {
        let mut block = self.heap.malloc(self.size)?;
        block.fill(1);
        Ok(block)
    }

    /// The mistake, unless this is its twin.
    fn mistake(self, mistake: impl FnOnce()) {
        say(&Line::Mistake);
        if !self.twin {
            mistake();
        }
    }

    /// What follows every mistake: every call that had to notice it has returned.
    fn afterwards(self) -> Checked {
        say(&Line::Returned);
        self.two_owners()
    }

    /// Whether blocks of the size share memory; here and in a second thread, which may be given
    /// what this thread's free list holds too.
    fn two_owners(self) -> Checked {
        let count = (64 << 20) / (self.size + 4096);
        let mut blocks = self.some(count.clamp(8, 512))?;
        apart(&blocks)?;
        blocks.extend(thread::spawn(move || self.some(8)).join().expect("no check panics")?);
        apart(&blocks)?;
        blocks.into_iter().for_each(Block::free);
        Ok(())
    }

    fn some(self, count: usize) -> Result<Vec<Block>, Wrong> {
        (0..count).map(|_| self.heap.malloc(self.size)).collect()
    }

    /// Frees what may be no block.
    fn free(self, at: *mut u8) {
        // SAFETY: the process is there to see what comes of it.
        unsafe { self.heap.free(at) }
    }

    fn free_twice(self) -> Checked {
        let block = self.block()?;
        let at = block.pointer();
        block.free();
        self.mistake(|| self.free(at));
        self.afterwards()
    }

    fn free_behind(self, others: usize) -> Checked {
        let others = self.some(others)?;
        let block = self.block()?;
        let at = block.pointer();
        block.free();
        others.into_iter().for_each(Block::free);
        self.mistake(|| self.free(at));
        self.afterwards()
    }

    /// The block beside it is freed after it and allocated again; where that returns the block
    /// itself, another is taken: a free of that would be right.
    fn free_after_neighbour(self) -> Checked {
        let mut kept = Vec::new();
        for attempt in 0..64 {
            let (neighbour, block) = (self.block()?, self.block()?);
            let after = self.block()?;
            let at = block.pointer();
            // Some reuse the last freed first, some the first.
            let order = if attempt % 2 == 0 { [block, neighbour] } else { [neighbour, block] };
            order.into_iter().for_each(Block::free);
            let reused = self.block()?;
            kept.push(after);
            let again = reused.pointer() == at;
            kept.push(reused);
            if !again {
                self.mistake(|| self.free(at));
                return self.afterwards();
            }
        }
        if self.twin {
            return Ok(());
        }
        say(&Line::NotMade {
            why: "the block itself is always the next to be allocated".to_owned(),
        });
        Ok(())
    }

    /// The owner and others free one block at once. In the twin each frees a block of its own.
    fn race(self, threads: usize) -> Checked {
        let blocks: Vec<Block> = self.some(threads)?;
        let barrier = Barrier::new(threads);
        // A spinning start: a barrier wakes one after the other. Acquire and release pair with each
        // other.
        let ready = AtomicUsize::new(0);
        let at = blocks[0].address();
        let racing = |own: usize| {
            barrier.wait();
            ready.fetch_add(1, Ordering::AcqRel);
            while ready.load(Ordering::Acquire) < threads {
                std::hint::spin_loop();
            }
            self.free(std::ptr::with_exposed_provenance_mut(own));
        };
        let places: Vec<usize> = blocks
            .iter()
            .map(|block| {
                block.pointer().expose_provenance();
                if self.twin { block.address() } else { at }
            })
            .collect();
        thread::scope(|scope| {
            for &own in &places[1..] {
                let racing = &racing;
                scope.spawn(move || racing(own));
            }
            say(&Line::Mistake);
            racing(places[0]);
        });
        let next = self.block()?;
        next.free();
        self.afterwards()
    }

    fn free_by_another(self) -> Checked {
        let block = self.block()?;
        let at = block.pointer().expose_provenance();
        // Starting the thread may allocate, and is over before the first free.
        let freeing = thread::spawn(move || {
            let at: *mut u8 = std::ptr::with_exposed_provenance_mut(at);
            self.free(at);
            self.mistake(|| self.free(at));
        });
        freeing.join().expect("no mistake panics");
        self.afterwards()
    }

    fn free_after_exit(self) -> Checked {
        let block = thread::spawn(move || self.block()).join().expect("no check panics")?;
        let at = block.pointer();
        block.free();
        self.mistake(|| self.free(at));
        self.afterwards()
    }

    fn resize_freed(self) -> Checked {
        let block = self.block()?;
        let at = block.pointer();
        block.free();
        self.mistake(|| {
            // SAFETY: the process is there to see what comes of it.
            black_box(unsafe { self.heap.realloc(at, self.size * 2) });
        });
        self.afterwards()
    }

    /// Frees a pointer into a live block.
    fn free_inside(self, offset: impl FnOnce(usize) -> usize) -> Checked {
        let (before, block, after) = (self.block()?, self.block()?, self.block()?);
        let offset = offset(block.usable_size().unwrap_or(self.size));
        let inside = block.pointer().wrapping_add(offset);
        self.mistake(|| self.free(inside));
        [before, block, after].into_iter().for_each(Block::free);
        self.afterwards()
    }

    /// Frees a pointer that is no block's.
    fn free_elsewhere(self, place: *mut u8) -> Checked {
        let block = self.block()?;
        self.mistake(|| self.free(place));
        block.free();
        self.afterwards()
    }

    fn free_stack(self) -> Checked {
        // Room for the largest beside what the thread itself needs.
        let thread = thread::Builder::new().stack_size(8 << 20);
        let thread = thread.spawn(move || match self.size {
            8 => on_the_stack::<8>(|place| self.free_elsewhere(place)),
            0x1000 => on_the_stack::<0x1000>(|place| self.free_elsewhere(place)),
            0x4_0000 => on_the_stack::<0x4_0000>(|place| self.free_elsewhere(place)),
            _ => on_the_stack::<0x40_0000>(|place| self.free_elsewhere(place)),
        });
        let thread = thread.map_err(|error| Wrong::CannotTell(error.to_string()))?;
        thread.join().expect("no mistake panics")
    }

    fn free_unmapped(self) -> Checked {
        let bytes = self.size.next_multiple_of(4096);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping disturbs nobody; it is unmapped whole, and nothing reads it.
        let place = unsafe {
            let place = libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ, flags, -1, 0);
            if place == libc::MAP_FAILED || libc::munmap(place, bytes) != 0 {
                return Err(Wrong::CannotTell("no mapping".to_owned()));
            }
            place
        };
        // No block before the mistake: it might be mapped there.
        self.mistake(|| self.free(place.cast()));
        self.afterwards()
    }

    fn sized_mismatch(self) -> Checked {
        let block = self.block()?;
        if self.twin {
            say(&Line::Mistake);
            block.free_sized()?;
            return self.afterwards();
        }
        say(&Line::Mistake);
        // SAFETY: the process is there to see what comes of it.
        unsafe { self.heap.free_sized(block.pointer(), self.size * 4 + 64)? };
        self.afterwards()
    }

    /// A write is no call: nothing returns that had to notice it.
    fn write_after_free(self) -> Checked {
        let block = self.block()?;
        let at = block.pointer();
        let write = || {
            let middle = self.size / 2 / 8 * 8;
            // SAFETY: of the twin: the block is live. Else the process is there to see what comes
            // of it.
            unsafe {
                at.cast::<u64>().write_volatile(u64::MAX);
                at.add(middle.saturating_sub(8)).cast::<u64>().write_volatile(u64::MAX);
            }
        };
        say(&Line::Mistake);
        if self.twin {
            write();
            block.free();
        } else {
            block.free();
            write();
        }
        self.two_owners()
    }

    /// Writes `bytes` past the end of what the allocator calls usable; the twin up to it.
    fn overflow(self, bytes: usize) -> Checked {
        let (before, block, after) = (self.block()?, self.block()?, self.block()?);
        let usable = block.usable_size().unwrap_or(self.size);
        let from = if self.twin { usable - bytes.min(usable) } else { usable };
        self.scribble(&block, from as isize, if self.twin { usable - from } else { bytes });
        [after, block, before].into_iter().for_each(Block::free);
        self.two_owners()
    }

    /// Writes 8 bytes before the start; the twin after it.
    fn underflow(self) -> Checked {
        let (before, block, after) = (self.block()?, self.block()?, self.block()?);
        self.scribble(&block, if self.twin { 0 } else { -8 }, 8);
        [before, block, after].into_iter().for_each(Block::free);
        self.two_owners()
    }

    fn scribble(self, block: &Block, from: isize, bytes: usize) {
        say(&Line::Mistake);
        for at in 0..bytes {
            // SAFETY: of the twin: the bytes are the block's. Else the process is there to see what
            // comes of it.
            unsafe { block.pointer().offset(from).add(at).write_volatile(0xEE) };
        }
    }
}

/// Says so if two of them share memory.
fn apart(blocks: &[Block]) -> Checked {
    let mut places: Vec<(usize, usize)> =
        blocks.iter().map(|block| (block.address(), block.size())).collect();
    places.sort_unstable();
    if places.windows(2).any(|pair| pair[0].0 + pair[0].1 > pair[1].0) {
        say(&Line::TwoOwners);
        return fail("blocks apart", "two live blocks that share memory");
    }
    Ok(())
}

/// Calls `f` with a variable of `N` bytes on this stack, aligned as a block would be.
#[inline(never)]
fn on_the_stack<const N: usize>(f: impl FnOnce(*mut u8) -> Checked) -> Checked {
    #[repr(align(16))]
    struct Place<const N: usize>([u8; N]);
    let mut place = Place([0u8; N]);
    f(black_box(&mut place).0.as_mut_ptr())
}

fn static_place(size: usize) -> *mut u8 {
    #[repr(align(16))]
    struct Place<const N: usize>([AtomicU8; N]);
    static TINY: Place<8> = Place([const { AtomicU8::new(0) }; 8]);
    static SMALL: Place<0x1000> = Place([const { AtomicU8::new(0) }; 0x1000]);
    static MEDIUM: Place<0x4_0000> = Place([const { AtomicU8::new(0) }; 0x4_0000]);
    static LARGE: Place<0x40_0000> = Place([const { AtomicU8::new(0) }; 0x40_0000]);
    match size {
        8 => TINY.0[0].as_ptr(),
        0x1000 => SMALL.0[0].as_ptr(),
        0x4_0000 => MEDIUM.0[0].as_ptr(),
        _ => LARGE.0[0].as_ptr(),
    }
}

/// An address where nothing is: near null, in the middle, beyond what x86-64 and aarch64 can
/// address, the last.
fn wild(size: usize) -> *mut u8 {
    std::ptr::without_provenance_mut(match size {
        8 => 0x10,
        0x1000 => 0x1234_5678_9ab0,
        0x4_0000 => 0xdead_beef_dead_bef0,
        _ => usize::MAX - 15,
    })
}

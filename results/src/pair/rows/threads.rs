//! Rows with threads. Each times its own threads' work and nothing else: what a wake-up takes is
//! the kernel's, and on a busy machine it is most of the time.

use std::ffi::c_void;
use std::hint::black_box;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use drystone_workloads::calls::Calls;

use super::super::clock::{Spent, Whose, time};
use super::load::{Load, touched};
use super::pattern::PATTERN;

/// Blocks that change hands at once: enough that the clocks, which are system calls, do not count.
const BATCH: usize = 1024;

/// Blocks on their way to another thread.
struct Batch(Vec<*mut c_void>);

// SAFETY: the pointers are owned by the batch, and whoever holds it may free them: an allocator's
// blocks may be freed by any thread.
unsafe impl Send for Batch {}

fn allocate(calls: Calls, batch: &mut Batch) {
    for step in &PATTERN[..BATCH] {
        // SAFETY: malloc may be called with any size.
        batch.0.push(touched(unsafe { (calls.malloc)(step.size as usize) }));
    }
}

fn free(calls: Calls, batch: &mut Batch) {
    for block in batch.0.drain(..) {
        // SAFETY: a batch's blocks are live, and leave it here.
        unsafe { (calls.free)(block) };
    }
}

/// A thread that waits for batches, and gives them back with what its work took.
struct Partner {
    to: Option<SyncSender<Batch>>,
    back: Receiver<(Batch, Spent)>,
    thread: Option<JoinHandle<()>>,
}

impl Partner {
    fn new(calls: Calls, work: fn(Calls, &mut Batch)) -> Self {
        let (to, receiver) = sync_channel(2);
        let (sender, back) = channel();
        let thread = std::thread::spawn(move || serve(calls, work, &receiver, &sender));
        Self { to: Some(to), back, thread: Some(thread) }
    }

    fn send(&self, batch: Batch) {
        let to = self.to.as_ref().expect("open until dropped");
        to.send(batch).expect("the partner lives until dropped");
    }

    fn receive(&self) -> (Batch, Spent) {
        self.back.recv().expect("the partner lives until dropped")
    }
}

fn serve(
    calls: Calls,
    work: fn(Calls, &mut Batch),
    from: &Receiver<Batch>,
    to: &Sender<(Batch, Spent)>,
) {
    while let Ok(mut batch) = from.recv() {
        let spent = time(Whose::Thread, 0, || work(black_box(calls), &mut batch));
        if to.send((batch, spent)).is_err() {
            return;
        }
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        self.to = None;
        if let Some(thread) = self.thread.take() {
            // A panic over there is told by its own message.
            let _ = thread.join();
        }
    }
}

struct Turns {
    calls: Calls,
    partner: Partner,
    batch: Option<Batch>,
}

/// Two threads, never at the same time: each frees the blocks of the other and allocates as many.
pub fn turns(calls: Calls) -> Box<dyn Load> {
    fn turn(calls: Calls, batch: &mut Batch) {
        free(calls, batch);
        allocate(calls, batch);
    }
    let mut batch = Batch(Vec::with_capacity(BATCH));
    allocate(calls, &mut batch);
    Box::new(Turns { calls, partner: Partner::new(calls, turn), batch: Some(batch) })
}

impl Load for Turns {
    fn run(&mut self, n: u64) -> Spent {
        let mut spent = Spent::default();
        for _ in 0..n.div_ceil(2 * BATCH as u64).max(1) {
            self.partner.send(self.batch.take().expect("put back below"));
            let (mut batch, partners) = self.partner.receive();
            let calls = black_box(self.calls);
            spent += partners;
            spent += time(Whose::Thread, 2 * BATCH as u64, || {
                free(calls, &mut batch);
                allocate(calls, &mut batch);
            });
            self.batch = Some(batch);
        }
        spent
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        if let Some(batch) = &mut self.batch {
            free(self.calls, batch);
        }
    }
}

struct HandOff {
    calls: Calls,
    partner: Partner,
    /// Empty ones; the partner has the others.
    spare: Vec<Batch>,
}

/// One thread allocates while the other frees what it was given before.
pub fn hand_off(calls: Calls) -> Box<dyn Load> {
    let spare = (0..2).map(|_| Batch(Vec::with_capacity(BATCH))).collect();
    Box::new(HandOff { calls, partner: Partner::new(calls, free), spare })
}

impl Load for HandOff {
    fn run(&mut self, n: u64) -> Spent {
        let mut spent = Spent::default();
        let batches = n.div_ceil(BATCH as u64).max(1);
        for _ in 0..batches {
            let mut batch = self.spare.pop().unwrap_or_else(|| {
                let (batch, partners) = self.partner.receive();
                spent += partners;
                batch
            });
            let calls = black_box(self.calls);
            spent += time(Whose::Thread, BATCH as u64, || allocate(calls, &mut batch));
            self.partner.send(batch);
        }
        while self.spare.len() < 2 {
            let (batch, partners) = self.partner.receive();
            spent += partners;
            self.spare.push(batch);
        }
        spent
    }
}

struct Churn {
    calls: Calls,
}

/// Threads that begin, allocate and free 64 blocks, and end; an operation is a thread.
pub fn churn(calls: Calls) -> Box<dyn Load> {
    Box::new(Churn { calls })
}

impl Load for Churn {
    /// The process's time: what a thread's end takes is not in the thread's own.
    fn run(&mut self, n: u64) -> Spent {
        let calls = black_box(self.calls);
        time(Whose::Process, n, || {
            for _ in 0..n {
                let thread = std::thread::spawn(move || {
                    let mut blocks = [std::ptr::null_mut(); 64];
                    for (place, step) in blocks.iter_mut().zip(PATTERN.iter()) {
                        // SAFETY: malloc may be called with any size.
                        *place = touched(unsafe { (calls.malloc)(step.size as usize) });
                    }
                    for block in blocks {
                        // SAFETY: each was allocated above, and is freed here once.
                        unsafe { (calls.free)(block) };
                    }
                });
                thread.join().expect("it allocates nothing that can panic");
            }
        })
    }
}

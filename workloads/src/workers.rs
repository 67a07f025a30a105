//! Workers that outlive an iteration: started once per benchmark, told again and again how many
//! passes to make, so that the time measured holds no thread's start.
//!
//! ```text
//! main     ── passes := n ── start ───────────── end ── reads the stamps ── ...
//! worker   ──────────────── start ── n passes ── end ── start (waits) ...
//! ```
//!
//! Both are barriers of all workers and the main thread. The time is from the first worker's
//! beginning to the last worker's finish, by the workers' own clocks, so the main thread's waking
//! is not in it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The number of passes that sends the workers home.
const GO_HOME: u64 = 0;

/// A set of threads that do the same number of passes at the same time.
#[derive(Debug)]
pub struct TimedWorkers {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    start: Barrier,
    end: Barrier,
    /// Stored before `start` and loaded after it, ordered by that barrier, so relaxed is enough.
    passes: AtomicU64,
    /// When each worker began and finished the last round.
    stamps: Mutex<Vec<(Instant, Instant)>>,
}

impl TimedWorkers {
    /// Starts `count` workers. Each makes its own work by `prepare(number)`, on its own thread
    /// (blocks that a pass frees were then allocated by the thread that it runs on), and drops it
    /// there.
    pub fn start<W, P>(count: usize, prepare: P) -> TimedWorkers
    where
        W: FnMut(u64),
        P: Fn(usize) -> W + Send + Sync + 'static,
    {
        let shared = Arc::new(Shared {
            start: Barrier::new(count + 1),
            end: Barrier::new(count + 1),
            passes: AtomicU64::new(GO_HOME),
            stamps: Mutex::new(Vec::with_capacity(count)),
        });
        let prepare = Arc::new(prepare);
        let workers = (0..count)
            .map(|number| {
                let (shared, prepare) = (Arc::clone(&shared), Arc::clone(&prepare));
                thread::spawn(move || work(&shared, prepare(number)))
            })
            .collect();
        TimedWorkers { shared, workers }
    }

    /// Has every worker make `passes` passes, and returns how long that took. `passes` is at least
    /// 1.
    pub fn run(&self, passes: u64) -> Duration {
        assert_ne!(passes, GO_HOME, "a round of no passes");
        self.shared.passes.store(passes, Ordering::Relaxed);
        self.shared.start.wait();
        self.shared.end.wait();
        let mut stamps = self.shared.stamps.lock().expect("a worker's panic ends the process");
        assert_eq!(stamps.len(), self.workers.len(), "every worker reports once per round");
        let first = stamps.iter().map(|stamp| stamp.0).min().expect("there is a worker");
        let last = stamps.iter().map(|stamp| stamp.1).max().expect("there is a worker");
        stamps.clear();
        last - first
    }
}

impl Drop for TimedWorkers {
    /// Sends the workers home and waits until they have dropped their work.
    fn drop(&mut self) {
        self.shared.passes.store(GO_HOME, Ordering::Relaxed);
        self.shared.start.wait();
        for worker in self.workers.drain(..) {
            worker.join().expect("a worker's panic ends the process");
        }
    }
}

fn work(shared: &Shared, mut pass: impl FnMut(u64)) {
    let _guard = EndTheProcess;
    loop {
        shared.start.wait();
        let passes = shared.passes.load(Ordering::Relaxed);
        if passes == GO_HOME {
            return;
        }
        let began = Instant::now();
        pass(passes);
        let finished = Instant::now();
        shared.stamps.lock().expect("a worker's panic ends the process").push((began, finished));
        shared.end.wait();
    }
}

/// A worker that panicked would be waited for at the barrier for ever: the process ends instead,
/// after the panic's message.
struct EndTheProcess;

impl Drop for EndTheProcess {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}

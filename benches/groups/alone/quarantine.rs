//! `quarantine/drystone/bytes`: what it costs that freed blocks wait.
//!
//! The quarantine is a matter of a whole process, told by its environment when it starts. So a
//! child does the work, this program once more, and says how long it took:
//!
//! ```text
//! criterion ── "passes\n" ──► child, DRYSTONE_QUARANTINE=bytes
//!           ◄─ "nanoseconds\n" ──
//! ```

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};
use drystone_workloads::patterns;

use crate::allocators::{Allocator, drystone};
use crate::groups::alone::ring::Ring;
use crate::groups::case::{Case, measure};

/// Bytes that may wait: none, which is the child without a quarantine, and two sizes.
const BYTES: [&str; 3] = ["0", "64K", "16M"];

/// What the allocator reads.
const QUARANTINE: &str = "DRYSTONE_QUARANTINE";
/// Set where this program is the child.
const CHILD: &str = "BENCH_OF_QUARANTINE";

const SEED: u64 = 6;
const SLOTS: usize = 256;
const TURNS: usize = 16_384;

/// One iteration is a pass of 16,384 turns over a ring of 256 blocks, as in `ring`: 32,768
/// operations. Only for `drystone`.
pub fn bench(criterion: &mut Criterion, allocators: &[Allocator]) {
    let mut group = criterion.benchmark_group("quarantine");
    group.sampling_mode(SamplingMode::Flat);
    for bytes in BYTES {
        for allocator in allocators.iter().filter(|allocator| allocator.name == drystone::NAME) {
            let case = Case { allocator, parameter: bytes, operations: 2 * TURNS };
            measure(
                &mut group,
                case,
                |_| Elsewhere::start(bytes),
                |bencher, child| bencher.iter_custom(|passes| child.run(passes)),
            );
        }
    }
    group.finish();
}

/// The child's part, if this is it: passes as they are asked for, to the end of the input.
///
/// # Panics
/// If the quarantine is not what it was to be, or the parent asks for nonsense.
pub fn serve_if_child(allocators: &[Allocator]) -> bool {
    if env::var_os(CHILD).is_none() {
        return false;
    }
    let allocator = allocators.iter().find(|allocator| allocator.name == drystone::NAME);
    let heap = allocator.expect("it is among the allocators").heap();
    let meant = env::var(QUARANTINE).is_ok_and(|bytes| bytes != "0");
    assert_eq!(drystone::waits(), meant, "a freed block waits, or does not");
    let mut ring = Ring::filled(heap, patterns::ring(SEED, SLOTS, TURNS));
    for line in io::stdin().lines() {
        let line = line.expect("the parent writes text");
        let passes: u64 = line.parse().expect("the parent writes numbers");
        let began = Instant::now();
        (0..passes).for_each(|_| ring.pass());
        println!("{}", began.elapsed().as_nanos());
    }
    true
}

/// The child, as its parent has it.
struct Elsewhere {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Elsewhere {
    fn start(bytes: &str) -> Self {
        let program = env::current_exe().expect("the OS knows this program's file");
        let mut command = Command::new(program);
        command.env(QUARANTINE, bytes).env(CHILD, "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("this program can be started once more");
        let output = child.stdout.take().expect("it is piped");
        Self { child, output: BufReader::new(output) }
    }

    fn run(&mut self, passes: u64) -> Duration {
        let mut input = self.child.stdin.as_ref().expect("it is piped");
        writeln!(input, "{passes}").expect("the child reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the child writes text");
        Duration::from_nanos(line.trim().parse().expect("the child has died: see above"))
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let ended = self.child.wait().expect("it is this process's child");
        assert!(ended.success() || std::thread::panicking(), "the child failed: {ended}");
    }
}

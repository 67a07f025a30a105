//! The child that does the work, and its parent's hold on it.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};
use drystone_workloads::patterns;

use crate::allocators::{Allocator, drystone};
use crate::groups::alone::ring::Ring;
use crate::groups::case::{Case, measure};

/// Set where this program is the child, to the name of its variable.
const CHILD: &str = "BENCH_OF_VARIABLE";

const SEED: u64 = 6;
const SLOTS: usize = 256;
const TURNS: usize = 16_384;

/// A variable, and how a child sees its effect.
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Whether it is in effect in this process.
    pub is_on: fn() -> bool,
}

/// A group whose iteration is a pass of 16,384 turns over a ring of 256 blocks, as in `ring`:
/// 32,768 operations. Only for `drystone`. `values` are parameters, each with the variable's value.
pub fn bench(
    criterion: &mut Criterion,
    allocators: &[Allocator],
    (group, variable): (&str, Variable),
    values: &[(&str, &'static str)],
) {
    let mut group = criterion.benchmark_group(group);
    group.sampling_mode(SamplingMode::Flat);
    for &(parameter, value) in values {
        for allocator in allocators.iter().filter(|allocator| allocator.name == drystone::NAME) {
            let case = Case { allocator, parameter, operations: 2 * TURNS };
            measure(
                &mut group,
                case,
                |_| Elsewhere::start(variable.name, value),
                |bencher, child| bencher.iter_custom(|passes| child.run(passes)),
            );
        }
    }
    group.finish();
}

/// The name of this process's variable, if it is a child.
pub fn own_variable() -> Option<String> {
    env::var(CHILD).ok()
}

/// The child's part: passes as they are asked for, to the end of the input.
///
/// # Panics
/// If the variable is not in effect where it should be, or is where it should not, or the parent
/// asks for nonsense.
pub fn serve(variable: &Variable, allocators: &[Allocator]) {
    let allocator = allocators.iter().find(|allocator| allocator.name == drystone::NAME);
    let heap = allocator.expect("it is among the allocators").heap();
    let meant = env::var(variable.name).is_ok_and(|value| value != "0");
    assert_eq!((variable.is_on)(), meant, "{} is in effect, or is not", variable.name);
    let mut ring = Ring::filled(heap, patterns::ring(SEED, SLOTS, TURNS));
    for line in io::stdin().lines() {
        let line = line.expect("the parent writes text");
        let passes: u64 = line.parse().expect("the parent writes numbers");
        let began = Instant::now();
        (0..passes).for_each(|_| ring.pass());
        println!("{}", began.elapsed().as_nanos());
    }
}

/// The child, as its parent has it.
struct Elsewhere {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Elsewhere {
    fn start(variable: &str, value: &str) -> Self {
        let program = env::current_exe().expect("the OS knows this program's file");
        let mut command = Command::new(program);
        command.env(variable, value).env(CHILD, variable);
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

//! The recorder under real programs: what is written is what the program did, whatever the program
//! does to its threads, its children and itself; and the program notices nothing.
//!
//! The C programs stand in `tests/recorder/`. Each marks its own blocks by their sizes, so that the
//! few that the C library asks for on its own account are told apart.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use crate::support;
use drystone_workloads::trace::{Kind, Op, Trace, raw};
use tempfile::TempDir;

fn recorder() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| support::shared_library("drystone-recorder", "libdrystone_trace.so"))
}

/// A folder of a test's own, with what is built and recorded in it.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Bench {
        Bench { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Compiles `tests/recorder/<name>.c` with `flags`.
    fn compile_with(&self, name: &str, flags: &[&str]) -> PathBuf {
        let source = support::workspace().join(format!("tests/recorder/{name}.c"));
        let program = self.path(name);
        let output = Command::new("cc")
            .args(["-std=gnu11", "-O1", "-Wall", "-fno-builtin", "-pthread"])
            .args(flags)
            .arg(&source)
            .arg("-o")
            .arg(&program)
            .output()
            .expect("these tests need a C compiler called cc");
        assert!(output.status.success(), "cc: {}", String::from_utf8_lossy(&output.stderr));
        program
    }

    fn compile(&self, name: &str) -> PathBuf {
        self.compile_with(name, &[])
    }

    /// `program`, to be recorded into files that begin with `trace`.
    fn recorded(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("LD_PRELOAD", recorder())
            .env("DRYSTONE_TRACE", self.path("trace.%p.raw"))
            .env_remove("MALLOC_ARENA_MAX");
        command
    }

    /// All recordings, in no order.
    fn recordings(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path()).expect("the folder is there");
        entries
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("trace."))
            .collect()
    }

    /// The one recording that there must be.
    fn recording(&self) -> PathBuf {
        let recordings = self.recordings();
        assert_eq!(recordings.len(), 1, "{recordings:?}");
        recordings[0].clone()
    }

    fn trace(&self) -> Trace {
        read(&self.recording())
    }
}

fn read(path: &Path) -> Trace {
    let trace = Trace::read(path).unwrap_or_else(|error| panic!("{error}"));
    trace.validate().expect("a possible history");
    trace
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{stderr}", output.status);
    // The loader only warns if it cannot preload.
    assert!(!stderr.contains("cannot be preloaded"), "{stderr}");
    output
}

fn births(trace: &Trace, size: usize) -> usize {
    trace.ops().iter().filter(|op| op.kind.size() == Some(size)).count()
}

/// The sizes of all blocks, by number.
fn sizes(trace: &Trace) -> Vec<usize> {
    trace.ops().iter().filter_map(|op| op.kind.size()).collect()
}

/// How often blocks of `size` were freed.
fn frees(trace: &Trace, size: usize) -> usize {
    let sizes = sizes(trace);
    let freed = |op: &&Op| matches!(op.kind, Kind::Free { block } if sizes[block as usize] == size);
    trace.ops().iter().filter(freed).count()
}

/// Counts match what the program did, and nobody's free went unseen: were a free noted after the
/// call instead of before, another thread's malloc of the same address would stand before it.
#[test]
fn eight_threads_with_hand_offs() {
    let bench = Bench::new();
    let program = bench.compile("threads");
    // One arena for all, so that the threads get one another's addresses.
    let output = run(bench.recorded(&program).env("MALLOC_ARENA_MAX", "1"));
    let said = String::from_utf8(output.stdout).unwrap();
    let said: Vec<usize> = said.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let [threads, rounds, handed] = said[..] else { panic!("{said:?}") };
    assert_eq!(handed, threads * rounds.div_ceil(3));

    let trace = bench.trace();
    let gaps = trace.gaps();
    assert_eq!((gaps.missed_frees, gaps.foreign_frees, gaps.holes), (0, 0, 0));
    let owner = |size: usize| {
        (10_000..10_000 + 200 * threads).contains(&size).then(|| (size - 10_000) / 200)
    };
    let mut maker = vec![None; threads];
    let mut mallocs = vec![0; threads];
    let (mut reallocs, mut ended, mut by_others) = (0, 0, 0);
    let mut made_by: Vec<Option<u32>> = Vec::new();
    for Op { thread, kind } in trace.ops() {
        if let Kind::Malloc { size, .. } = kind
            && let Some(owner) = owner(*size)
        {
            mallocs[owner] += 1;
            assert_eq!(*maker[owner].get_or_insert(*thread), *thread, "one thread, one number");
            made_by.push(Some(*thread));
        } else if let Kind::Realloc { from, .. } = kind {
            assert_eq!(made_by[*from as usize], Some(*thread));
            reallocs += 1;
            made_by.push(Some(*thread));
        } else if kind.made().is_some() {
            made_by.push(None);
        }
        if let Kind::Free { block } = kind
            && let Some(maker) = made_by[*block as usize]
        {
            ended += 1;
            by_others += usize::from(maker != *thread);
        }
    }
    assert_eq!(mallocs, vec![rounds; threads]);
    assert_eq!(reallocs, threads * rounds / 5);
    assert_eq!(ended, threads * rounds, "every block is freed once");
    assert_eq!(by_others, handed, "by the thread that it was handed to");
    let distinct: std::collections::BTreeSet<_> = maker.iter().collect();
    assert_eq!(distinct.len(), threads, "two threads share a number");
}

/// Every function, its alignment and its size, in order; and `errno`, which the program itself
/// checks.
#[test]
fn every_function_is_counted_and_errno_kept() {
    let bench = Bench::new();
    let program = bench.compile("calls");
    assert_eq!(run(&mut bench.recorded(&program)).stdout, b"fine\n");

    let trace = bench.trace();
    let first = trace.ops().iter().position(|op| op.kind.size() == Some(7001)).unwrap();
    let page = 4096;
    let b = |block: u32| block + trace.ops()[first].kind.made().unwrap();
    let expected = [
        Kind::Malloc { block: b(0), size: 7001 },
        Kind::Calloc { block: b(1), size: 7007 },
        Kind::Realloc { from: b(0), to: b(2), size: 7002 },
        Kind::Realloc { from: b(2), to: b(3), size: 90_003 },
        Kind::Malloc { block: b(4), size: 7003 },
        Kind::AlignedAlloc { block: b(5), size: 7040, align: 64 },
        Kind::AlignedAlloc { block: b(6), size: 7005, align: 4096 },
        Kind::AlignedAlloc { block: b(7), size: 7006, align: 256 },
        Kind::AlignedAlloc { block: b(8), size: 7008, align: page },
        Kind::Free { block: b(3) },
        Kind::Free { block: b(1) },
        Kind::Free { block: b(4) },
        Kind::Free { block: b(5) },
        Kind::Free { block: b(6) },
        Kind::Free { block: b(7) },
        Kind::Free { block: b(8) },
        Kind::AlignedAlloc { block: b(9), size: 2 * page, align: page },
        Kind::Malloc { block: b(10), size: 0 },
        Kind::Free { block: b(10) },
        Kind::Free { block: b(9) },
    ];
    let found: Vec<Kind> =
        trace.ops()[first..].iter().map(|op| op.kind).take(expected.len()).collect();
    assert_eq!(found, expected);
    assert_eq!((births(&trace, 33), frees(&trace, 33)), (100_000, 100_000));
    assert_eq!((trace.gaps().missed_frees, trace.gaps().foreign_frees), (0, 0));
}

/// Each process has its own file with its own blocks, whoever was allocating while it was forked.
#[test]
fn forks_from_a_program_with_threads() {
    let bench = Bench::new();
    run(&mut bench.recorded(bench.compile("forks")));
    let recordings = bench.recordings();
    assert_eq!(recordings.len(), 41, "a parent, 20 children, 20 grandchildren");
    let (mut parents, mut children, mut grandchildren) = (0, Vec::new(), 0);
    for path in &recordings {
        let trace = read(path);
        let count = |size| births(&trace, size);
        assert_eq!(trace.gaps().missed_frees, 0, "{}", path.display());
        match (count(7777) > 0, count(8888) > 0, count(9999) > 0) {
            (true, false, false) => {
                assert_eq!((count(7777), frees(&trace, 7777)), (3010, 3010));
                assert!(count(5555) > 0 && trace.gaps().foreign_frees == 0);
                parents += 1;
            }
            (false, true, false) => {
                assert_eq!(count(5555), 0);
                assert_eq!(trace.gaps().foreign_frees, 10, "the parent's ten blocks");
                assert_eq!(frees(&trace, 8888), count(8888));
                children.push(count(8888));
            }
            (false, false, true) => {
                assert_eq!((count(9999), frees(&trace, 9999), count(5555)), (500, 500, 0));
                grandchildren += 1;
            }
            mixed => panic!("{}: blocks of several processes {mixed:?}", path.display()),
        }
    }
    children.sort_unstable();
    assert_eq!(children, (1010..1030).collect::<Vec<_>>());
    assert_eq!((parents, grandchildren), (1, 20));
}

/// A child that shares its parent's file name gets another, and so does what it executes.
#[test]
fn a_name_is_never_taken_twice() {
    let bench = Bench::new();
    let output =
        run(bench.recorded(bench.compile("forks")).env("DRYSTONE_TRACE", bench.path("trace.raw")));
    assert_eq!(bench.recordings().len(), 41);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stderr.lines().count(), 40, "{stderr}");
    assert!(
        stderr
            .lines()
            .all(|line| line.starts_with("drystone-trace: that file exists; recording to "))
    );

    // With %p, exec leaves the first program's file alone.
    let bench = Bench::new();
    let silent = bench.compile("silent");
    let output = run(bench.recorded("/bin/sh").arg("-c").arg(format!("exec {}", silent.display())));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut names: Vec<_> = bench.recordings();
    names.sort();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(names[1], PathBuf::from(format!("{}.1", names[0].display())));
    assert!(read(&names[0]).command().starts_with("/bin/sh -c 'exec "));
}

/// Whatever the program was told to have is in the file when it is killed.
#[test]
fn killed_in_the_middle() {
    let bench = Bench::new();
    let mut child = bench
        .recorded(bench.compile("killed"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let seen: usize = lines.by_ref().nth(99).expect("a hundred lines").unwrap().parse().unwrap();
    child.kill().unwrap();
    let seen =
        lines.map_while(Result::ok).filter_map(|line| line.parse().ok()).last().unwrap_or(seen);
    assert_eq!(child.wait().unwrap().signal(), Some(9));

    let trace = bench.trace();
    let (made, freed) = (births(&trace, 6001), frees(&trace, 6001));
    assert!(made >= 1000 * seen, "{made} blocks recorded, {seen} thousand seen");
    assert!(made < 1000 * (seen + 2), "{made} blocks recorded, {seen} thousand seen");
    assert!(freed.abs_diff(made / 2) <= 1, "{freed} of {made} freed");
    assert!(trace.gaps().holes == 0 && trace.gaps().missed_frees == 0);
}

/// A thread that ends the process while another allocates; destructors of thread-specific data;
/// exit handlers.
#[test]
fn endings() {
    for (how, signal, handlers) in [("exit", None, 1), ("_exit", None, 0), ("abort", Some(6), 0)] {
        let bench = Bench::new();
        let output = bench.recorded(bench.compile("endings")).arg(how).output().unwrap();
        assert_eq!(output.status.signal(), signal, "{how}: {}", output.status);
        let trace = bench.trace();
        assert_eq!((births(&trace, 6000), frees(&trace, 6000)), (100, 100), "{how}");
        assert_eq!((births(&trace, 6100), frees(&trace, 6100)), (100, 100), "{how}: destructors");
        assert_eq!((births(&trace, 6200), frees(&trace, 6200)), (handlers, handlers), "{how}");
        assert_eq!((trace.gaps().missed_frees, trace.gaps().foreign_frees), (0, 0), "{how}");
        let state = std::fs::read(bench.recording()).unwrap()[raw::offset::STATE];
        let expected = if handlers > 0 { raw::state::EXITED } else { raw::state::RECORDING };
        assert_eq!(u32::from(state), expected, "{how}");
    }
}

/// A recording of nothing says so, in a sentence.
#[test]
fn a_program_that_allocates_nothing() {
    let bench = Bench::new();
    run(&mut bench.recorded(bench.compile("silent")));
    let said = Trace::read(bench.recording()).unwrap_err().to_string();
    assert!(said.contains("holds no operations (0 raw records)"), "{said}");
}

/// The recorder keeps no descriptor that a program could close and put its own file on.
#[test]
fn a_program_that_closes_all_descriptors() {
    let bench = Bench::new();
    let precious = bench.path("precious");
    std::fs::write(&precious, b"mine").unwrap();
    run(bench.recorded(bench.compile("closes")).arg(&precious));
    assert_eq!(std::fs::read(&precious).unwrap(), b"mine");
    assert_eq!(births(&bench.trace(), 6400), 100_000);
}

/// One line, and the program goes on as if nothing were.
#[test]
fn a_recording_that_cannot_be_made() {
    let bench = Bench::new();
    let program = bench.compile("calls");
    for (name, why) in
        [("none/t.raw", "no such file or folder"), ("", "DRYSTONE_TRACE is empty or too long")]
    {
        let pattern = if name.is_empty() { PathBuf::new() } else { bench.path(name) };
        let output = run(bench.recorded(&program).env("DRYSTONE_TRACE", &pattern));
        assert_eq!(output.stdout, b"fine\n");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with("drystone-trace: cannot "), "{stderr}");
        assert!(stderr.ends_with(&format!("{why}; the program runs on unrecorded\n")), "{stderr}");
    }
    // Children do not say it again.
    let output =
        run(bench.recorded(bench.compile("forks")).env("DRYSTONE_TRACE", bench.path("none/t.raw")));
    assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1);
}

/// A file that may not grow: one line, errno kept (the program checks), and what was written stays
/// whole.
#[test]
fn a_recording_that_cannot_grow() {
    let bench = Bench::new();
    let program = bench.compile("calls");
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg(r#"ulimit -f 6144; LD_PRELOAD="$1" DRYSTONE_TRACE="$2" exec "$3""#)
        .args([Path::new("sh"), recorder(), &bench.path("trace.raw"), &program]);
    let output = run(&mut command);
    assert_eq!(output.stdout, b"fine\n");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("the file would be too large (ulimit -f?); the program"), "{stderr}");
    let trace = bench.trace();
    let errno = trace.gaps().stopped;
    assert_eq!(errno, 27, "EFBIG");
    // Whole chunks of a mebibyte; of which unit `ulimit -f` counts in, shells have two opinions.
    let slots =
        std::fs::metadata(bench.recording()).unwrap().len() / raw::RECORD_BYTES as u64 - 128;
    // Two reallocs and two failed ones have two slots; a freeing one has no op more.
    let unrecorded = 4 + 2;
    let ops = trace.ops().len() as u64;
    assert!(ops <= slots && ops + unrecorded + 2 >= slots, "{ops} operations in {slots} slots");
}

/// A file that is no longer where it was: the same, this time with an `errno` of the system's. What
/// the program put there instead stays as it is.
#[test]
fn a_recording_that_is_removed() {
    let bench = Bench::new();
    let program = bench.compile("calls");
    for (arguments, why) in [(1, "no such file or folder"), (2, "the file was moved or replaced")] {
        let file = bench.path(&format!("trace.{arguments}"));
        let output =
            run(bench.recorded(&program).env("DRYSTONE_TRACE", &file).args(vec![&file; arguments]));
        assert_eq!(output.stdout, b"fine\n");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains(&format!("{}: {why}; the program", file.display())), "{stderr}");
    }
    assert_eq!(std::fs::read(bench.path("trace.2")).unwrap(), b"mine");
}

/// The calls reach the allocator behind, once each; what it does to itself is its own business.
#[test]
fn before_another_allocator() {
    let bench = Bench::new();
    let program = bench.compile("on_next");
    let next = bench.compile_with("next", &["-shared", "-fPIC"]);
    let both = format!("{} {}", recorder().display(), next.display());
    let output = run(bench.recorded(&program).env("LD_PRELOAD", both));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "30 30\n", "mallocs and frees in next.c");
    let trace = bench.trace();
    let count = |name| {
        let named = |op: &&Op| op.kind.name() == name && op.kind.size() == Some(7100);
        trace.ops().iter().filter(named).count()
    };
    assert_eq!((count("malloc"), count("calloc"), count("realloc")), (10, 10, 10));
    assert_eq!(frees(&trace, 7100), 20);
    assert_eq!(trace.gaps().missed_frees, 0);
}

/// What a `dlsym` allocates while the allocator is being looked up is served, is used, and is
/// recorded only from when it moves to the allocator.
#[test]
fn blocks_from_before_there_is_an_allocator() {
    let bench = Bench::new();
    let program = bench.compile("on_next");
    let dlsym = bench.compile_with("dlsym", &["-shared", "-fPIC"]);
    let both = format!("{} {}", recorder().display(), dlsym.display());
    let output = run(bench.recorded(&program).env("LD_PRELOAD", both));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "8 early blocks\n");
    let trace = bench.trace();
    assert_eq!((births(&trace, 100), births(&trace, 34)), (0, 0));
    let moved = |op: &&Op| matches!(op.kind, Kind::Malloc { size: 7200, .. });
    assert_eq!(trace.ops().iter().filter(moved).count(), 8);
    assert_eq!(frees(&trace, 7200), 8);
    assert_eq!((trace.gaps().missed_frees, trace.gaps().foreign_frees), (0, 0));
}

/// Interpreters with threads and children print what they print without the recorder.
#[test]
fn real_programs_print_the_same() {
    if !support::has("python3", "python3") || !support::has("perl", "perl") {
        return;
    }
    const PYTHON: &str = "\
import json, subprocess, sys, threading
results = {}
def work(name):
    results[name] = sum(len(json.dumps(list(range(k)))) for k in range(200))
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sorted(results.items()))
print(subprocess.run([sys.executable, '-c', 'print(6 * 7)'], capture_output=True, text=True))
print(subprocess.check_output('echo $((1 + 2))', shell=True))
";
    const PERL: &str = "my %h; $h{$_} = chr(65 + $_ % 26) x ($_ % 300) for 1..10000; \
                        print join(',', map { \"$_=\" . length $h{$_} } sort keys %h), `echo child`;";
    let python = interpreter();
    let programs: [(&str, &[&str]); 2] = [(&python, &["-c", PYTHON]), ("perl", &["-e", PERL])];
    for (program, arguments) in programs {
        let bench = Bench::new();
        let python_malloc = ("PYTHONMALLOC", "malloc");
        let plain =
            run(Command::new(program).args(arguments).env(python_malloc.0, python_malloc.1));
        let recorded =
            run(bench.recorded(program).args(arguments).env(python_malloc.0, python_malloc.1));
        assert_eq!(recorded.stdout, plain.stdout, "{program}");
        assert_eq!(recorded.stderr, plain.stderr, "{program}");
        let most = bench.recordings().into_iter().filter_map(|path| Trace::read(path).ok());
        let most = most.map(|trace| trace.ops().len()).max();
        assert!(most >= Some(10_000), "{program}: {most:?} operations");
    }
}

/// The interpreter itself: what is called python3 may be a script that looks for it.
fn interpreter() -> String {
    let output = Command::new("python3")
        .args(["-c", "import sys; print(sys.executable)"])
        .output()
        .expect("these tests need python3");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The committed traces are what the documentation says.
#[test]
fn committed_traces() {
    let folder = support::workspace().join("workloads/traces");
    let names = "cc1 cmake git jq lua node pdftoppm perl python-json redis ripgrep sqlite";
    let names: Vec<&str> = names.split(' ').collect();
    let mut all_bytes = 0;
    for name in &names {
        let path = folder.join(format!("{name}.trace"));
        let trace = read(&path);
        let bytes = std::fs::metadata(&path).unwrap().len();
        assert!(bytes <= 180_000, "{name}: {bytes} bytes");
        all_bytes += bytes;
        assert!(trace.ops().len() >= 50_000, "{name}: {} operations", trace.ops().len());
        assert_eq!(trace.gaps(), Default::default(), "{name} is whole");
        assert!(trace.command().contains("recorder/programs/"), "{name}: {}", trace.command());
        for word in trace.command().split_whitespace() {
            assert!(!word.starts_with('/'), "{name} names a path of one machine: {word}");
        }
    }
    assert!(all_bytes <= 900_000, "{all_bytes} bytes: everyone who clones gets them");
    let others = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(others, names.len(), "a trace that no test knows of");
}

//! The C interface as a C program sees it: compiled against the header, linked to the shared
//! library and to the static one, used as it should be and misused.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;

use crate::lab::{Lab, Linked, SHARED, finished};
use crate::served::{self, Account, Ended};
use crate::support;

const SIGABRT: i32 = 6;

/// All that the library exports, with [`ALIASES`], [`ENDS`] and [`OPERATORS`].
const FUNCTIONS: [&str; 22] = [
    "aligned_alloc",
    "calloc",
    "cfree",
    "drystone_stats",
    "drystone_version",
    "free",
    "free_aligned_sized",
    "free_sized",
    "mallinfo",
    "mallinfo2",
    "malloc",
    "malloc_info",
    "malloc_stats",
    "malloc_trim",
    "malloc_usable_size",
    "mallopt",
    "memalign",
    "posix_memalign",
    "pvalloc",
    "realloc",
    "reallocarray",
    "valloc",
];

/// glibc's further names of some of them.
const ALIASES: [&str; 10] = [
    "__libc_calloc",
    "__libc_free",
    "__libc_mallinfo",
    "__libc_malloc",
    "__libc_mallopt",
    "__libc_memalign",
    "__libc_pvalloc",
    "__libc_realloc",
    "__libc_valloc",
    "__posix_memalign",
];

/// Ends of a process, which tell of deferred misuses before.
const ENDS: [&str; 2] = ["_Exit", "_exit"];

/// C++'s operators new and delete.
const OPERATORS: [&str; 20] = [
    "_ZdaPv",
    "_ZdaPvRKSt9nothrow_t",
    "_ZdaPvSt11align_val_t",
    "_ZdaPvSt11align_val_tRKSt9nothrow_t",
    "_ZdaPvm",
    "_ZdaPvmSt11align_val_t",
    "_ZdlPv",
    "_ZdlPvRKSt9nothrow_t",
    "_ZdlPvSt11align_val_t",
    "_ZdlPvSt11align_val_tRKSt9nothrow_t",
    "_ZdlPvm",
    "_ZdlPvmSt11align_val_t",
    "_Znam",
    "_ZnamRKSt9nothrow_t",
    "_ZnamSt11align_val_t",
    "_ZnamSt11align_val_tRKSt9nothrow_t",
    "_Znwm",
    "_ZnwmRKSt9nothrow_t",
    "_ZnwmSt11align_val_t",
    "_ZnwmSt11align_val_tRKSt9nothrow_t",
];

/// The program ended well, said `stdout` and nothing on stderr, and was served by a heap that is
/// sound.
#[track_caller]
fn well(run: (Ended, Option<Account>), stdout: &str, calls: u64) {
    let (ended, account) = run;
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), (stdout, ""));
    let account = account.expect("the library served it, and gives its account");
    assert!(account.number("calls") >= calls, "{account:?}");
    assert_eq!(account.number("misuses_at_call") + account.number("misuses_late"), 0);
    assert_eq!(account.text("sound"), "true", "{account:?}");
}

const HELLO: &str = "hello from Drystone\n\
    1000 squares, the last one 998001\n\
    the block holds at least that many: yes\n\
    aligned to a page: yes\n";

#[test]
fn the_c_example_runs_on_both_libraries() {
    let lab = Lab::new();
    for linked in [Linked::Shared, Linked::Static, Linked::AllStatic] {
        let program = lab.compile("examples/hello.c", linked);
        well(lab.run(&program, &[], &[]), HELLO, 14);
    }
}

#[test]
fn the_rust_example_runs() {
    let mut cargo = Command::new(env!("CARGO"));
    // Of the whole workspace, as `cargo test` has built it: for this package alone cargo would
    // build others' crates anew, with fewer of their features.
    cargo.args(["run", "--quiet", "--example", "global_allocator"]);
    let said = finished(&mut cargo, "cargo");
    assert!(said.status.success(), "{}", said.stderr);
    let expected =
        "every: 300, stone: 300\na megabyte more is live: true\nthe heap is sound: true\n";
    assert_eq!(said.stdout, expected);
    cargo.args(["--", "mistake"]).env_remove("DRYSTONE_ON_MISUSE");
    let said = finished(&mut cargo, "cargo");
    assert!(!said.status.success());
    let report = said.stderr.lines().find(|line| line.starts_with(DOUBLE));
    let report = report.unwrap_or_else(|| panic!("no report: {}", said.stderr));
    assert!(report.ends_with(", found at the call"), "{report}");
}

#[test]
fn every_function_does_what_the_header_says() {
    let lab = Lab::new();
    for linked in [Linked::Shared, Linked::Static] {
        let program = lab.compile("tests/c/calls/semantics.c", linked);
        let run = lab.run(&program, &[], &[]);
        well(run, "all of more than 10000 checks hold\n", 10_000);
    }
}

#[test]
fn the_library_exports_the_functions_of_the_header_and_no_more() {
    let mut nm = Command::new("nm");
    nm.args(["--dynamic", "--defined-only", "--format=just-symbols"]).arg(&*SHARED);
    let said = finished(&mut nm, "binutils");
    assert!(said.status.success(), "{}", said.stderr);
    let exported: BTreeSet<_> = said.stdout.lines().collect();
    let all = FUNCTIONS.into_iter().chain(ALIASES).chain(ENDS).chain(OPERATORS);
    let all: BTreeSet<_> = all.collect();
    assert_eq!(exported, all);

    let header = support::workspace().join("capi/include/drystone.h");
    let header = fs::read_to_string(header).unwrap();
    let declared: BTreeSet<_> = header
        .lines()
        .filter(|line| line.ends_with(") DRYSTONE_NOTHROW;"))
        .map(|line| line.split('(').next().unwrap().rsplit([' ', '*']).next().unwrap())
        .collect();
    assert_eq!(declared, BTreeSet::from(FUNCTIONS));
    // The others have no declaration there, but a line each.
    let named = |begins: &str| -> BTreeSet<_> {
        header.split_whitespace().filter(|word| word.starts_with(begins)).collect()
    };
    assert_eq!(named("_Z"), BTreeSet::from(OPERATORS));
    let aliases: BTreeSet<_> = named("__libc_").union(&named("__posix_")).copied().collect();
    assert_eq!(aliases, BTreeSet::from(ALIASES));
    assert!(header.contains(concat!(
        "#define DRYSTONE_VERSION \"",
        env!("CARGO_PKG_VERSION"),
        "\""
    )));
}

#[test]
fn the_header_compiles_as_c_and_as_cpp_beside_the_systems_own() {
    if !support::has("c++", "g++") {
        return;
    }
    let lab = Lab::new();
    let c = ["c89", "c99", "c11", "gnu17", "gnu2x"];
    let cpp = ["c++98", "c++11", "c++17", "gnu++20"];
    let languages = c.map(|standard| ("cc", "c", standard)).into_iter();
    for (compiler, language, standard) in
        languages.chain(cpp.map(|standard| ("c++", "c++", standard)))
    {
        for includes in [
            "#include <drystone.h>\n",
            "#include <stdlib.h>\n#include <malloc.h>\n#include <drystone.h>\n",
            "#include <drystone.h>\n#include <stdlib.h>\n#include <malloc.h>\n\
             #include <drystone.h>\n",
        ] {
            let source = lab.folder().join("header.c");
            fs::write(&source, format!("{includes}void use(void *p) {{ free(p); }}\n")).unwrap();
            let mut compile = Command::new(compiler);
            compile
                .args([
                    "-fsyntax-only",
                    "-Wall",
                    "-Wextra",
                    "-Werror",
                    "-D_GNU_SOURCE",
                    "-x",
                    language,
                ])
                .arg(format!("-std={standard}"))
                .arg("-I")
                .arg(support::workspace().join("capi/include"))
                .arg(&source);
            let said = finished(&mut compile, "gcc and g++");
            assert!(said.status.success(), "{standard}:\n{includes}{}", said.stderr);
        }
    }
}

#[test]
fn a_program_that_does_nothing_sees_no_allocation() {
    let lab = Lab::new();
    let program = lab.compile("tests/c/process/idle.c", Linked::Plain);
    let preload = SHARED.to_str().unwrap();
    let (ended, account) = lab.run(&program, &[("LD_PRELOAD", preload)], &[]);
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
    let account = account.expect("the library was loaded");
    assert_eq!(account.text("program"), "idle");
    for figure in ["calls", "live_blocks", "mapped_bytes"] {
        assert_eq!(account.number(figure), 0, "{figure}: {account:?}");
    }
}

#[test]
fn blocks_and_forks_survive_the_unloading_of_the_library() {
    let lab = Lab::new();
    let program = lab.compile("tests/c/loading/unloading.c", Linked::Plain);
    let (ended, account) = lab.run(&program, &[], &[SHARED.to_str().unwrap()]);
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.stdout, "unloaded\n");
    let account = account.expect("its end runs when the process exits, not when it is let go of");
    assert_eq!(account.number("malloc"), 2, "{account:?}");
}

// ---- Fork --------------------------------------------------------------------------------------

#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn children_forked_while_others_allocate_can_allocate_and_free() {
    let lab = Lab::new();
    let program = lab.compile("tests/c/process/fork_storm.c", Linked::Shared);
    well(lab.run(&program, &[], &[]), "2000 forks, workers at work\n", 10_000);

    // Half of the children exit in a way that leaves an account: of their own calls, not their
    // parent's.
    let (parents, children): (Vec<_>, Vec<_>) =
        lab.accounts().into_iter().partition(|account| account.number("calls") >= 10_000);
    assert_eq!((parents.len(), children.len()), (1, 1000));
    for child in children {
        let calls = child.number("calls");
        assert_eq!(child.number("misuses_at_call") + child.number("misuses_late"), 0, "{child:?}");
        assert!((50..1000).contains(&calls) && child.text("sound") == "true", "{child:?}");
    }
}

#[test]
fn fork_handlers_of_the_program_may_allocate_and_take_locks() {
    let lab = Lab::new();
    let program = lab.compile("tests/c/process/fork_handlers.c", Linked::Shared);
    well(lab.run(&program, &[], &[]), "200 forks\n", 10_000);
}

// ---- C++ ---------------------------------------------------------------------------------------

/// What a C++ program's sized deletes must do, whatever the program has replaced.
#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn sized_deletes_of_cpp_programs() {
    if !support::has("c++", "g++") {
        return;
    }
    let lab = Lab::new();
    let program = |replaced: &str, how: &[&str]| {
        let program = lab.folder().join(format!("operators{replaced}{}", how.len()));
        let mut compile = Command::new("c++");
        compile
            .args(["-std=c++17", "-O1", "-fno-builtin", "-pthread", "-Wall", "-Wextra", "-Werror"])
            .arg("-Wno-sized-deallocation")
            .arg(format!("-D{replaced}=1"))
            .arg(support::workspace().join("tests/c/cpp/operators.cc"))
            .arg("-o")
            .arg(&program)
            .args(how);
        let said = finished(&mut compile, "g++");
        assert!(said.status.success(), "{replaced}, {how:?}: {}", said.stderr);
        program
    };
    let preload = [("LD_PRELOAD", SHARED.to_str().unwrap())];
    // The runtime's operators: the size arrives, and is looked at.
    let plain = program("NOTHING", &[]);
    let (ended, account) = lab.run(&plain, &preload, &["right"]);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("right\n", ""), "{ended:?}");
    let account = account.expect("the library served it");
    for (function, least) in
        [("operator_delete_sized", 1000), ("operator_delete_aligned_sized", 200)]
    {
        assert!(account.number(function) >= least, "{function}: {account:?}");
    }
    for wrong in ["plain", "array", "aligned", "aligned_array"] {
        let (ended, _) = lab.run(&plain, &preload, &[wrong]);
        assert_eq!(ended.status.signal(), Some(SIGABRT), "{wrong}: {ended:?}");
        one_line_on(wrong, &ended.stderr, SIZE, "in a live block of ");
    }
    // The program's own operators, that put a header before each block: they get every block.
    let archive = SHARED.with_file_name("libdrystone.a");
    let archive = archive.to_str().unwrap();
    for replaced in ["REPLACED", "REPLACED_ARRAY"] {
        let program = program(replaced, &[]);
        well(lab.run(&program, &preload, &["right"]), "right\n", 1000);
    }
    // A runtime that is linked in, and ours: called, and the size not looked at.
    for (replaced, how) in [("NOTHING", ["-static", archive]), ("REPLACED", ["-static", archive])] {
        let program = program(replaced, &how);
        well(lab.run(&program, &[], &["right"]), "right\n", 1000);
    }
}

// ---- Figures -----------------------------------------------------------------------------------

#[test]
fn figures_go_where_the_setting_says() {
    let lab = Lab::new();
    let program = lab.compile("examples/hello.c", Linked::Shared);
    let stderr = |value: &str| {
        let (ended, account) = lab.run(&program, &[("DRYSTONE_STATS", value)], &[]);
        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(ended.stdout, HELLO);
        assert!(account.is_none());
        ended.stderr
    };
    for nothing in ["", "0"] {
        assert_eq!(stderr(nothing), "");
    }
    let table = stderr("1");
    let has = |text: &str| table.lines().any(|line| line.trim_start().starts_with(text));
    for line in ["drystone: process", "malloc ", "reallocarray ", "calls ", "the heap is sound"] {
        assert!(has(line), "{line}:\n{table}");
    }
    let figure = |name: &str| {
        let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let row = rows.find(|row| row.len() == 2 && row[0] == name);
        row.and_then(|row| row[1].parse::<u64>().ok()).unwrap_or_else(|| panic!("{name}:\n{table}"))
    };
    assert!(figure("slabs_made") > 0 && figure("locked") > 0 && figure("held_nanoseconds") > 0);
    // The classes' rows: bytes of a block, slabs, live blocks, blocks. They add up to the slabs
    // there are.
    let numbers = |line: &str| -> Option<Vec<u64>> {
        line.split_whitespace().map(|word| word.parse().ok()).collect()
    };
    let classes: Vec<_> = table.lines().filter_map(numbers).filter(|row| row.len() == 4).collect();
    assert!(!classes.is_empty() && classes.iter().all(|row| row[2] <= row[3]), "{table}");
    let slabs: u64 = classes.iter().map(|row| row[1]).sum();
    assert_eq!(slabs, figure("slabs_made") - figure("slabs_given_back"), "{table}");
    // While it runs a program can ask for the same table.
    let asks = lab.compile("tests/c/calls/figures.c", Linked::Shared);
    let (ended, _) = lab.run(&asks, &[("DRYSTONE_STATS", "0")], &[]);
    assert!(ended.status.success(), "{ended:?}");
    for line in ["drystone: process ", "live_blocks ", "the heap is sound"] {
        let mut lines = ended.stderr.lines();
        assert!(lines.any(|said| said.trim_start().starts_with(line)), "{line}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("calls"), "nobody counts them: {}", ended.stderr);
    assert_eq!(
        stderr("yes"),
        "drystone: DRYSTONE_STATS must be 1 or an absolute path; no figures at exit\n"
    );
    assert_eq!(
        stderr("/nowhere/at/all"),
        "drystone: DRYSTONE_STATS names a file that can't be written, error 2: /nowhere/at/all\n"
    );
}

/// `ls` closes its stdout and stderr before it exits; the table comes all the same.
#[test]
fn a_table_reaches_the_stderr_that_the_program_was_given() {
    let lab = Lab::new();
    let mut ls = Command::new("ls");
    ls.env("LD_PRELOAD", &*SHARED).env("DRYSTONE_STATS", "1");
    let said = served::run(&mut ls, lab.folder(), 60).unwrap();
    assert!(said.status.success(), "{said:?}");
    assert!(said.stderr.starts_with("drystone: process "), "{said:?}");
    assert!(said.stderr.lines().any(|line| line.trim_start().starts_with("calls ")), "{said:?}");
}

/// A program may put files of its own in the place of those that it was given: they hold what it
/// writes.
#[test]
fn a_table_goes_into_no_file_of_the_program() {
    let lab = Lab::new();
    let program = lab.compile("tests/c/calls/files_reused.c", Linked::Shared);
    let (ended, _) = lab.run(&program, &[("DRYSTONE_STATS", "1")], &[]);
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
    assert_eq!(fs::read_to_string(lab.folder().join("own")).unwrap(), "own\n");
}

// ---- Misuse ------------------------------------------------------------------------------------

const DOUBLE: &str = "drystone: double free: 0x";
const INTERIOR: &str = "drystone: interior pointer: 0x";
const UNALIGNED: &str = "drystone: unaligned pointer: 0x";
const SIZE: &str = "drystone: size mismatch: 0x";
const FOREIGN: &str = "drystone: foreign pointer: 0x";

/// The misuses of `tests/c/misuse/misuse.c`: the name, how the line about it begins, and what else
/// is in it.
const MISUSES: [(&str, &str, &str); 36] = [
    ("immediate", DOUBLE, "in a free block of "),
    ("interleaved", DOUBLE, "in a free block of 40960 bytes,"),
    ("behind_a_thousand", DOUBLE, "in a free block of "),
    ("beside_a_free_block_before", DOUBLE, "in a free block of 40960 bytes,"),
    ("beside_a_free_block_behind", DOUBLE, "in a free block of 40960 bytes,"),
    ("between_free_blocks", DOUBLE, "in a free block of 40960 bytes,"),
    ("region_gone_back", DOUBLE, "returned to the operating system"),
    ("huge", DOUBLE, "block of 4194304 bytes, returned to the operating system"),
    ("first_by_another_thread", DOUBLE, "in a free block of "),
    ("then_by_another_thread", DOUBLE, "in a free block of "),
    ("after_realloc_freed", DOUBLE, "in a free block of "),
    ("after_realloc_moved", DOUBLE, "block of 1048576 bytes"),
    ("resize_of_a_free_block", DOUBLE, "in a free block of "),
    ("array_of_a_free_block", DOUBLE, "in a free block of "),
    ("size_of_a_free_block", DOUBLE, "in a free block of "),
    ("interior", INTERIOR, "in a live block of 1024 bytes,"),
    ("interior_of_huge", INTERIOR, "in a live block of 4194304 bytes,"),
    ("unaligned", UNALIGNED, "in a live block of 1024 bytes,"),
    ("unaligned_by_one", UNALIGNED, "in a live block of 1024 bytes,"),
    ("unaligned_in_huge", UNALIGNED, "in a live block of 4194304 bytes,"),
    ("on_the_stack", FOREIGN, ""),
    ("in_static_memory", FOREIGN, ""),
    ("in_another_mapping", FOREIGN, ""),
    ("in_code", FOREIGN, ""),
    ("unmapped", FOREIGN, ": 0x123450,"),
    ("out_of_range", FOREIGN, ": 0xffff800000000010,"),
    ("sized_too_small", SIZE, "in a live block of 112 bytes,"),
    ("sized_too_large", SIZE, "in a live block of 112 bytes,"),
    ("sized_for_a_page", SIZE, "in a live block of 4096 bytes,"),
    ("sized_for_a_span", SIZE, "in a live block of 262144 bytes,"),
    ("sized_for_a_mapping", SIZE, "in a live block of 4194304 bytes,"),
    ("sized_beyond_all", SIZE, "in a live block of 112 bytes,"),
    ("sized_at_no_alignment", SIZE, "in a live block of 128 bytes,"),
    ("sized_at_another_alignment", SIZE, "in a live block of 128 bytes,"),
    ("sized_twice", DOUBLE, "in a free block of "),
    ("sized_by_another_thread", DOUBLE, "in a free block of "),
];

/// Four frees of one block at once: three too many.
const RACE: &str = "race";

/// Compiles the program of misuses and checks that every one of them is in the table.
fn misuses(lab: &Lab) -> PathBuf {
    let program = lab.compile("tests/c/misuse/misuse.c", Linked::Shared);
    let (ended, _) = lab.run(&program, &[], &["--list"]);
    let listed: Vec<_> = ended.stdout.lines().collect();
    let known: Vec<_> = MISUSES.iter().map(|misuse| misuse.0).chain([RACE]).collect();
    assert_eq!(listed, known);
    program
}

#[track_caller]
fn one_line_on(name: &str, line: &str, begins: &str, holds: &str) {
    let address = line.strip_prefix(begins).unwrap_or_else(|| panic!("{name}: {line}"));
    assert!(address.starts_with(|digit: char| digit.is_ascii_hexdigit()), "{name}: {line}");
    assert!(line.contains(holds) && line.ends_with(", found at the call\n"), "{name}: {line}");
    assert_eq!(line.matches('\n').count(), 1, "{name}: {line}");
}

#[test]
fn a_misuse_under_abort_is_one_line_and_the_end() {
    let lab = Lab::new();
    let program = misuses(&lab);
    for environment in [&[][..], &[("DRYSTONE_ON_MISUSE", "abort")]] {
        for (name, begins, holds) in MISUSES {
            let (ended, account) = lab.run(&program, environment, &[name]);
            assert_eq!(ended.status.signal(), Some(SIGABRT), "{name}: {ended:?}");
            assert_eq!(ended.stdout, "ready\n", "{name}");
            assert!(account.is_none(), "{name}");
            one_line_on(name, &ended.stderr, begins, holds);
        }
    }
}

#[test]
fn a_misuse_under_report_is_one_line_and_the_program_goes_on() {
    let lab = Lab::new();
    let program = misuses(&lab);
    for (name, begins, holds) in MISUSES {
        let (ended, account) = lab.run(&program, &[("DRYSTONE_ON_MISUSE", "report")], &[name]);
        went_on(name, &ended, account, 1);
        one_line_on(name, &ended.stderr, begins, holds);
    }
}

#[test]
fn a_misuse_under_ignore_is_silent_and_the_program_goes_on() {
    let lab = Lab::new();
    let program = misuses(&lab);
    for (name, ..) in MISUSES {
        let (ended, account) = lab.run(&program, &[("DRYSTONE_ON_MISUSE", "ignore")], &[name]);
        went_on(name, &ended, account, 1);
        assert_eq!(ended.stderr, "", "{name}");
    }
}

#[test]
fn of_four_frees_at_once_three_are_reported() {
    let lab = Lab::new();
    let program = misuses(&lab);
    for _ in 0..20 {
        let (ended, account) = lab.run(&program, &[("DRYSTONE_ON_MISUSE", "report")], &[RACE]);
        went_on(RACE, &ended, account, 3);
        assert_eq!(ended.stderr.lines().count(), 3, "{}", ended.stderr);
        assert!(ended.stderr.lines().all(|line| line.starts_with(DOUBLE)), "{}", ended.stderr);
    }
}

#[test]
fn a_policy_that_is_none_counts_as_abort_and_is_named() {
    let lab = Lab::new();
    let program = misuses(&lab);
    let (ended, _) = lab.run(&program, &[("DRYSTONE_ON_MISUSE", "shrug")], &["immediate"]);
    assert_eq!(ended.status.signal(), Some(SIGABRT), "{ended:?}");
    let (first, rest) = ended.stderr.split_once('\n').unwrap();
    let named = "drystone: DRYSTONE_ON_MISUSE must be abort, report or ignore; taken for abort";
    assert_eq!(first, named);
    one_line_on("immediate", rest, DOUBLE, "in a free block of ");
}

/// The program ended well after `misuses` misuses, and the heap is sound.
#[track_caller]
fn went_on(name: &str, ended: &Ended, account: Option<Account>, misuses: u64) {
    assert!(ended.status.success(), "{name}: {ended:?}");
    assert_eq!(ended.stdout, "ready\nwent on\n", "{name}");
    let account = account.expect("the library gives its account");
    assert_eq!(account.number("misuses_at_call"), misuses, "{name}: {account:?}");
    assert_eq!(account.number("misuses_late"), 0, "{name}: {account:?}");
    assert_eq!(account.text("sound"), "true", "{name}: {account:?}");
}

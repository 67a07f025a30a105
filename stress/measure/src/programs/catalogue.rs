//! The programs: what each needs, works on, runs and says.

use std::path::Path;
use std::{fs, io};

use crate::programs::generated;

/// A program, and what is done with it.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// As it is written on the command line.
    pub name: &'static str,
    /// One line for `--list`.
    pub about: &'static str,
    /// What must be here: executables, and Debian's packages of them.
    pub needs: &'static [(&'static str, &'static str)],
    /// Writes what it works on into a folder, `{here}` in its commands.
    pub prepare: fn(&Path) -> io::Result<()>,
    /// Commands that are run there once, without any allocator. One that fails says that something
    /// is missing, which is the second: Debian's package.
    pub build: &'static [(&'static [&'static str], &'static str)],
    /// What is run with and without the allocator, one after the other, in a new folder each time.
    pub commands: &'static [&'static [&'static str]],
    /// Added to the environment.
    pub environment: &'static [(&'static str, &'static str)],
    /// Whose calls are counted: how the names of the processes' programs begin.
    pub served: &'static [&'static str],
    /// Whether what it says on standard error is the same each time.
    pub stderr: bool,
    /// Whether it takes long and mostly sleeps: one round is enough, and with `--quick` none beside
    /// the counted run.
    pub long: bool,
    /// Whether it runs what fails once more, and says so: see [`super::judge::flaky`].
    pub retries: bool,
}

/// What is the same for most.
pub const PLAIN: Program = Program {
    name: "",
    about: "",
    needs: &[],
    prepare: |_| Ok(()),
    build: &[],
    commands: &[],
    environment: &[],
    served: &[],
    stderr: true,
    long: false,
    retries: false,
};

/// With its own allocator for small objects out of the way, so that every object is the
/// allocator's.
const PYTHON: Program = Program {
    needs: &[("python3", "python3")],
    environment: &[
        ("PYTHONMALLOC", "malloc"),
        ("PYTHONHASHSEED", "0"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ],
    served: &["python3"],
    ..PLAIN
};

const SUITE: Program = Program {
    prepare: |here| fs::write(here.join("suite.py"), include_str!("sources/suite.py")),
    stderr: false,
    long: true,
    retries: true,
    ..PYTHON
};

const TESTSUITE: &str = "libpython3-testsuite";

const GIT: &[(&str, &str)] = &[
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_SYSTEM", "/dev/null"),
    ("GIT_AUTHOR_NAME", "A. Mason"),
    ("GIT_AUTHOR_EMAIL", "mason@example.org"),
    ("GIT_AUTHOR_DATE", "2001-02-03T04:05:06Z"),
    ("GIT_COMMITTER_NAME", "A. Mason"),
    ("GIT_COMMITTER_EMAIL", "mason@example.org"),
    ("GIT_COMMITTER_DATE", "2001-02-03T04:05:06Z"),
];

/// All of them, those that take longest first.
pub const ALL: &[Program] = &[
    Program {
        name: "python-fork",
        about: "python3's own test_multiprocessing_fork",
        build: &[(&["python3", "suite.py", "--probe", "test_multiprocessing_fork"], TESTSUITE)],
        commands: &[&["python3", "{here}/suite.py", "test_multiprocessing_fork"]],
        ..SUITE
    },
    Program {
        name: "python-subprocess",
        about: "python3's own test_subprocess",
        build: &[(&["python3", "suite.py", "--probe", "test_subprocess"], TESTSUITE)],
        commands: &[&["python3", "{here}/suite.py", "test_subprocess"]],
        ..SUITE
    },
    Program {
        name: "python-threading",
        about: "python3's own test_threading",
        build: &[(&["python3", "suite.py", "--probe", "test_threading"], TESTSUITE)],
        commands: &[&["python3", "{here}/suite.py", "test_threading"]],
        ..SUITE
    },
    Program {
        name: "python-suite",
        about: "python3's own test_json, test_dict, test_list and test_ctypes",
        build: &[(
            &[
                "python3",
                "suite.py",
                "--probe",
                "test_json",
                "test_dict",
                "test_list",
                "test_ctypes",
            ],
            TESTSUITE,
        )],
        commands: &[&[
            "python3",
            "{here}/suite.py",
            "test_json",
            "test_dict",
            "test_list",
            "test_ctypes",
        ]],
        ..SUITE
    },
    Program {
        name: "g++",
        about: "compiles 10 classes of the standard library's templates",
        needs: &[("g++", "g++"), ("sha256sum", "coreutils")],
        prepare: |here| fs::write(here.join("wall.cc"), generated::cpp(10)),
        commands: &[
            &["g++", "-std=c++17", "-O1", "-c", "{here}/wall.cc", "-o", "wall.o"],
            &["g++", "wall.o", "-o", "wall"],
            &["sha256sum", "wall.o", "wall"],
            &["./wall"],
        ],
        served: &["cc1plus"],
        ..PLAIN
    },
    Program {
        name: "gcc",
        about: "compiles, assembles and links 300 functions",
        needs: &[("gcc", "gcc"), ("sha256sum", "coreutils")],
        prepare: |here| fs::write(here.join("wall.c"), generated::c(300)),
        commands: &[
            &["gcc", "-O1", "-g", "-Wall", "-Wextra", "-c", "{here}/wall.c", "-o", "wall.o"],
            &["gcc", "wall.o", "-lm", "-o", "wall"],
            &["sha256sum", "wall.o", "wall"],
            &["./wall"],
        ],
        served: &["cc1"],
        ..PLAIN
    },
    Program {
        name: "git",
        about: "commits, merges, logs, packs, checks and clones a generated repository",
        needs: &[("git", "git")],
        prepare: |here| generated::stones(here, 200),
        commands: &[
            &["git", "init", "--quiet", "--initial-branch=main", "."],
            &["git", "config", "gc.auto", "0"],
            &["git", "config", "maintenance.auto", "false"],
            &["git", "config", "pack.threads", "2"],
            &["cp", "-r", "{here}/stones/.", "."],
            &["git", "add", "a"],
            &["git", "commit", "--message=the first course"],
            &["git", "add", "b"],
            &["git", "commit", "--message=the second course"],
            &["git", "checkout", "-q", "-b", "side", "HEAD~1"],
            &["git", "add", "c"],
            &["git", "commit", "--message=a side wall"],
            &["git", "checkout", "-q", "main"],
            &["git", "merge", "--no-edit", "side"],
            &["git", "log", "--stat", "--patch"],
            &["git", "gc", "--quiet", "--aggressive", "--prune=now"],
            &["git", "fsck", "--full", "--strict", "--no-progress"],
            &["git", "clone", "--quiet", "--no-local", ".", "copy"],
            &["git", "-C", "copy", "log", "--graph", "--format=%H %T %s"],
            &["git", "rev-list", "--objects", "--all"],
            &["git", "grep", "-c", "stone 144 of", "main"],
        ],
        environment: GIT,
        served: &["git"],
        ..PLAIN
    },
    Program {
        name: "xz",
        about: "-T2: packs a large file and 2,500 small ones, tests and unpacks them",
        needs: &[("xz", "xz-utils"), ("sha256sum", "coreutils")],
        prepare: |here| generated::heap_of_files(here, 2500),
        commands: &[
            &["cp", "-r", "{here}/heap", "."],
            &["xz", "-T2", "-1", "--block-size=512KiB", "heap/large"],
            &["sha256sum", "heap/large.xz"],
            &["sh", "-c", "xz -T2 -0 heap/0*"],
            &["sh", "-c", "cat heap/*.xz | sha256sum"],
            &["sh", "-c", "xz -T2 -t heap/*.xz"],
            &["sh", "-c", "xz -T2 -d heap/*.xz"],
            &["sh", "-c", "cat heap/* | sha256sum"],
        ],
        served: &["xz"],
        ..PLAIN
    },
    Program {
        name: "tar",
        about: "packs, lists, compares and unpacks 2,500 files",
        needs: &[("tar", "tar"), ("sha256sum", "coreutils")],
        prepare: |here| generated::heap_of_files(here, 2500),
        commands: &[
            &[
                "tar",
                "--sort=name",
                "--mtime=@0",
                "--owner=0",
                "--group=0",
                "--numeric-owner",
                "-C",
                "{here}",
                "-cf",
                "heap.tar",
                "heap",
            ],
            &["sha256sum", "heap.tar"],
            &["tar", "-tf", "heap.tar"],
            &["tar", "-xf", "heap.tar"],
            &["sh", "-c", "cat heap/* | sha256sum"],
        ],
        served: &["tar"],
        ..PLAIN
    },
    Program {
        name: "node",
        about: "a script with four worker threads",
        needs: &[("node", "nodejs")],
        prepare: |here| fs::write(here.join("script.js"), include_str!("sources/script.js")),
        commands: &[&["node", "{here}/script.js"]],
        served: &["node"],
        ..PLAIN
    },
    Program {
        name: "python",
        about: "objects, JSON and regular expressions in threads, forks, every object the \
                allocator's",
        prepare: |here| fs::write(here.join("script.py"), include_str!("sources/script.py")),
        commands: &[&["python3", "{here}/script.py"]],
        ..PYTHON
    },
    Program {
        name: "perl",
        about: "hashes, sorting, regular expressions, a fork",
        needs: &[("perl", "perl")],
        prepare: |here| fs::write(here.join("script.pl"), include_str!("sources/script.pl")),
        commands: &[&["perl", "{here}/script.pl"]],
        environment: &[("PERL_HASH_SEED", "0"), ("PERL_PERTURB_KEYS", "0")],
        served: &["perl"],
        ..PLAIN
    },
    Program {
        name: "lua",
        about: "tables, strings, closures, coroutines, collected",
        needs: &[("lua5.4", "lua5.4")],
        prepare: |here| fs::write(here.join("script.lua"), include_str!("sources/script.lua")),
        commands: &[&["lua5.4", "{here}/script.lua"]],
        served: &["lua"],
        ..PLAIN
    },
    Program {
        name: "sqlite",
        about: "fills, indexes, queries, vacuums, checks and dumps a table",
        needs: &[("sqlite3", "sqlite3")],
        prepare: |here| fs::write(here.join("script.sql"), include_str!("sources/script.sql")),
        commands: &[
            &["sqlite3", "wall.db", ".read {here}/script.sql"],
            &["sqlite3", "wall.db", ".dump wall"],
        ],
        served: &["sqlite3"],
        ..PLAIN
    },
    Program {
        name: "rust",
        about: "a Rust program on `System`: threads, a channel, maps, a caught panic",
        needs: &[("rustc", "rustc")],
        prepare: |here| fs::write(here.join("system.rs"), include_str!("sources/system.rs")),
        build: &[(&["rustc", "--edition=2021", "-O", "system.rs"], "rustc")],
        commands: &[&["{here}/system"]],
        environment: &[("RUST_BACKTRACE", "0")],
        served: &["system"],
        // The panic names its thread's number in newer versions.
        stderr: false,
        ..PLAIN
    },
    Program {
        name: "c++",
        about: "threads that come and go, exceptions, blocks that change hands, alignments",
        needs: &[("g++", "g++")],
        prepare: |here| fs::write(here.join("threads.cc"), include_str!("sources/threads.cc")),
        build: &[(&["g++", "-std=c++17", "-O1", "-pthread", "threads.cc", "-o", "threads"], "g++")],
        commands: &[&["{here}/threads"]],
        served: &["threads"],
        ..PLAIN
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_program_has_what_a_run_needs() {
        let names: BTreeSet<_> = ALL.iter().map(|program| program.name).collect();
        assert_eq!(names.len(), ALL.len());
        for program in ALL {
            let name = program.name;
            assert!(!program.about.is_empty() && !program.needs.is_empty(), "{name}");
            assert!(!program.commands.is_empty() && !program.served.is_empty(), "{name}");
            assert!(program.commands.iter().all(|command| !command.is_empty()), "{name}");
        }
    }
}

//! C programs, compiled against the header, linked to the library and run.

// Each test file uses its part of this.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::served::{self, Account, Ended};
use crate::support;

/// The shared library.
pub static SHARED: LazyLock<PathBuf> =
    LazyLock::new(|| support::shared_library("drystone-capi", "libdrystone.so"));

/// What a program is linked to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Linked {
    /// `-ldrystone`, found again at run time.
    Shared,
    /// `libdrystone.a`, the C library shared.
    Static,
    /// `libdrystone.a`, and everything else static too.
    AllStatic,
    /// Nothing of ours.
    Plain,
}

/// A folder for one test's programs and what they write.
pub struct Lab(TempDir);

impl Lab {
    pub fn new() -> Lab {
        Lab(TempDir::new().unwrap())
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Compiles `source`, a path from the workspace's root, with warnings for errors.
    pub fn compile(&self, source: &str, linked: Linked) -> PathBuf {
        let release = SHARED.parent().unwrap();
        let program = self.folder().join(Path::new(source).file_stem().unwrap());
        let mut cc = Command::new("cc");
        // no-builtin: a compiler that knows malloc elides what is tested. Some programs use what
        // they have freed.
        cc.args(["-std=gnu17", "-O1", "-g", "-fno-builtin", "-pthread"])
            .args(["-Wall", "-Wextra", "-Werror", "-Wno-use-after-free"])
            .arg("-I")
            .arg(support::workspace().join("capi/include"))
            .arg(support::workspace().join(source))
            .arg("-o")
            .arg(&program);
        match linked {
            Linked::Shared => {
                // An old-style run path comes before LD_LIBRARY_PATH, in which cargo puts the
                // folder of another build of the library.
                let run_path = format!("-Wl,--disable-new-dtags,-rpath,{}", release.display());
                cc.arg("-L").arg(release).arg("-ldrystone").arg(run_path);
            }
            Linked::Static => _ = cc.arg(release.join("libdrystone.a")),
            Linked::AllStatic => _ = cc.arg("-static").arg(release.join("libdrystone.a")),
            Linked::Plain => _ = cc.arg("-ldl"),
        }
        let said = finished(&mut cc, "gcc and libc6-dev");
        assert!(said.status.success(), "{source}, {linked:?}: {}", said.stderr);
        program
    }

    /// The accounts of all processes of the last run, in the order of their ends.
    pub fn accounts(&self) -> Vec<Account> {
        Account::all(&self.folder().join("stats"))
    }

    /// Runs `program`, and returns how it ended and the account that it gave at its exit, if it
    /// did.
    pub fn run(
        &self,
        program: &Path,
        environment: &[(&str, &str)],
        arguments: &[&str],
    ) -> (Ended, Option<Account>) {
        let file = self.folder().join("stats");
        let _ = fs::remove_file(&file);
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_remove("DRYSTONE_ON_MISUSE")
            .env_remove("DRYSTONE_QUARANTINE")
            .env_remove("DRYSTONE_GUARD")
            .env_remove("DRYSTONE_HELP")
            .env("DRYSTONE_STATS", &file)
            .envs(environment.iter().copied());
        let ended = served::run(&mut command, self.folder(), DEADLINE).unwrap();
        (ended, self.accounts().pop())
    }
}

/// Seconds after which a program is taken to hang: many times what any needs on a busy machine.
const DEADLINE: u64 = 600;

/// Runs a tool that the Debian packages `from` hold.
pub fn finished(tool: &mut Command, from: &str) -> Ended {
    let name = tool.get_program().to_string_lossy().into_owned();
    served::run(tool, &support::workspace(), DEADLINE)
        .unwrap_or_else(|error| panic!("{name} does not run ({error}): install Debian's {from}"))
}

//! The calls that an allocator served in a run, process by process.
//!
//! Drystone says so itself (`DRYSTONE_STATS`), and whether its heap is sound. In front of any other
//! allocator `counter.c` is preloaded, compiled on the spot.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, Result, bail};
use drystone_harness::allocators::Allocator;
use serde::{Deserialize, Serialize};

const COUNTER: &str = include_str!("counter.c");

/// How an allocator's calls are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counter {
    /// By itself.
    Own,
    /// By this library in front of it.
    InFront(PathBuf),
}

impl Counter {
    /// The one for `allocator`; a library that is needed is made in `folder`.
    ///
    /// # Errors
    /// The allocator can't be read, or the C compiler does not do its work.
    pub fn of(allocator: &Allocator, folder: &Path) -> Result<Counter> {
        if let Some(library) = &allocator.library {
            let bytes = fs::read(library)
                .with_context(|| format!("reading the allocator {}", library.display()))?;
            let own = b"\0drystone_stats\0";
            if bytes.windows(own.len()).any(|window| window == own) {
                return Ok(Counter::Own);
            }
        }
        let (source, library) = (folder.join("counter.c"), folder.join("counter.so"));
        fs::write(&source, COUNTER).context("writing the counter's source")?;
        let output = Command::new("cc")
            .args(["-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-pthread", "-o"])
            .args([&library, &source])
            .output()
            .context("running cc, which compiles the counter of calls: install Debian's gcc")?;
        if !output.status.success() {
            bail!("the counter of calls: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(Counter::InFront(library))
    }

    /// What is preloaded, the allocator's library last, and the variable that names the file of
    /// accounts.
    pub fn environment(&self, allocator: &Allocator, file: &Path) -> Vec<(String, OsString)> {
        let mut preload = OsString::new();
        let variable = match self {
            Counter::Own => "DRYSTONE_STATS",
            Counter::InFront(counter) => {
                preload.push(counter);
                preload.push(":");
                "STRESS_CALLS"
            }
        };
        if let Some(library) = &allocator.library {
            preload.push(library);
        }
        vec![("LD_PRELOAD".to_owned(), preload), (variable.to_owned(), file.into())]
    }
}

/// What all processes of a run have said.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Account {
    /// Calls, by the program's file name.
    pub calls: BTreeMap<String, u64>,
    /// Processes.
    pub processes: u64,
    /// What is wrong, one sentence each.
    pub wrong: Vec<String>,
}

/// A line of either kind.
#[derive(Deserialize)]
struct Line {
    drystone_stats: Option<u32>,
    program: String,
    calls: u64,
    misuses_at_call: Option<u64>,
    misuses_late: Option<u64>,
    sound: Option<bool>,
    served_by: Option<PathBuf>,
}

impl Account {
    /// Reads the file of accounts; no file, no calls.
    ///
    /// # Errors
    /// It can't be read, or holds what is no account.
    pub fn read(file: &Path, allocator: &Allocator) -> Result<Account> {
        match fs::read_to_string(file) {
            Ok(text) => Account::of(&text, allocator.library.as_deref()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Account::default()),
            Err(error) => Err(error).context("reading the accounts of calls"),
        }
    }

    fn of(text: &str, library: Option<&Path>) -> Result<Account> {
        let mut account = Account::default();
        for line in text.lines() {
            let line: Line = serde_json::from_str(line)
                .with_context(|| format!("this is no account of calls: {line}"))?;
            if let Some(version @ (0 | 2..)) = line.drystone_stats {
                bail!("an account of version {version}: this tool reads version 1");
            }
            account.processes += 1;
            *account.calls.entry(line.program.clone()).or_default() += line.calls;
            let misuses =
                line.misuses_at_call.unwrap_or_default() + line.misuses_late.unwrap_or_default();
            if misuses > 0 {
                account.wrong.push(format!("{}: {misuses} misuses reported", line.program));
            }
            if line.sound == Some(false) {
                account.wrong.push(format!("{}: the heap is not sound", line.program));
            }
            let other = line.served_by.filter(|by| library.is_some_and(|library| by != library));
            if let Some(by) = other {
                account.wrong.push(format!("{}: served by {}", line.program, by.display()));
            }
        }
        Ok(account)
    }

    /// Calls in all programs whose names begin with one of `names`.
    pub fn calls_of(&self, names: &[&str]) -> u64 {
        let of_them = self
            .calls
            .iter()
            .filter(|(program, _)| names.iter().any(|name| program.starts_with(name)));
        of_them.map(|(_, calls)| calls).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_summed_by_program() {
        let text = "{\"drystone_stats\":1,\"pid\":1,\"program\":\"cc1\",\"calls\":10,\
                    \"misuses_at_call\":0,\"misuses_late\":0,\"sound\":true}\n\
                    {\"calls\":5,\"program\":\"cc1plus\",\"served_by\":\"/lib/a.so\"}\n\
                    {\"calls\":7,\"program\":\"ld\",\"served_by\":\"/lib/a.so\"}\n";
        let account = Account::of(text, Some(Path::new("/lib/a.so"))).unwrap();
        assert_eq!((account.calls_of(&["cc1"]), account.calls_of(&["as", "ld"])), (15, 7));
        assert_eq!((account.processes, account.wrong.len()), (3, 0));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let text = "{\"drystone_stats\":1,\"program\":\"a\",\"calls\":1,\
                    \"misuses_at_call\":1,\"misuses_late\":1,\"sound\":false}\n\
                    {\"calls\":5,\"program\":\"b\",\"served_by\":\"/lib/libc.so.6\"}\n";
        let account = Account::of(text, Some(Path::new("/lib/a.so"))).unwrap();
        let expected =
            ["a: 2 misuses reported", "a: the heap is not sound", "b: served by /lib/libc.so.6"];
        assert_eq!(account.wrong, expected);
        assert!(Account::of("{\"drystone_stats\":2,\"program\":\"a\",\"calls\":1}", None).is_err());
        assert!(Account::of("calls: 5", None).is_err());
    }
}

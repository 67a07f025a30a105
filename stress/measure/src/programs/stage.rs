//! A program's folder: what it works on, made once, and a new folder at the same path for each run,
//! since programs print where they are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result};
use drystone_harness::process::launcher::{End, Ended, Launcher};
use drystone_harness::process::resources::Resources;
use drystone_harness::stop::Stop;
use thiserror::Error;

use crate::programs::catalogue::Program;
use crate::programs::command::{self, is_telling};

/// Where a program runs.
#[derive(Debug)]
pub struct Stage {
    here: PathBuf,
    work: PathBuf,
}

/// What is missing on this machine for a program to be run.
#[derive(Debug, Error)]
pub enum Missing {
    /// A command.
    #[error("{executable} is not here: apt-get install {package}")]
    Executable {
        /// The command.
        executable: &'static str,
        /// The Debian package that it is in.
        package: &'static str,
    },
    /// What the program is built of.
    #[error("{command} fails ({last}): apt-get install {package}")]
    Build {
        /// What was run.
        command: String,
        /// The last line that it said.
        last: String,
        /// The Debian package that is probably not installed.
        package: &'static str,
    },
}

/// One run of all commands.
#[derive(Clone, Debug)]
pub struct Run {
    /// Each command as it was run, and what came of it. None follows one that failed.
    pub commands: Vec<(String, Ended)>,
}

impl Run {
    /// What all commands used.
    pub fn resources(&self) -> Resources {
        self.commands.iter().fold(Resources::default(), |sum, (_, ended)| sum.and(ended.resources))
    }

    /// The command that did not end well.
    pub fn failed(&self) -> Option<(&str, &Ended)> {
        let (command, ended) = self.commands.last()?;
        (!ended.end.is_success()).then_some((command, ended))
    }

    /// Whether the campaign's stop cut it short.
    pub fn stopped(&self) -> bool {
        self.commands.last().is_some_and(|(_, ended)| ended.end == End::Stopped)
    }
}

impl Stage {
    /// Makes the folder of `program` in `folder`, or says what is missing on this machine.
    ///
    /// # Errors
    /// Something that must be written or run can't be.
    pub fn set(
        program: &Program,
        folder: &Path,
        launcher: &Launcher,
        stop: &Stop,
    ) -> Result<Result<Stage, Missing>> {
        for (executable, package) in program.needs {
            if !is_here(executable) {
                return Ok(Err(Missing::Executable { executable, package }));
            }
        }
        let stage = Stage {
            here: folder.join(program.name).join("here"),
            work: folder.join(program.name).join("work"),
        };
        fs::create_dir_all(&stage.here).context("making a program's folder")?;
        (program.prepare)(&stage.here)
            .with_context(|| format!("writing what {} works on", program.name))?;
        for (words, package) in program.build {
            let arguments = words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
            let environment = inherited().collect::<Vec<_>>();
            let ended = command::run(launcher, &arguments, &stage.here, &environment, stop)?;
            if !ended.end.is_success() && ended.end != End::Stopped {
                let said = String::from_utf8_lossy(&ended.errors);
                let last = said.trim().lines().last().unwrap_or_default().to_owned();
                return Ok(Err(Missing::Build { command: words.join(" "), last, package }));
            }
        }
        Ok(Ok(stage))
    }

    /// Runs the commands in a new folder, with `environment` added.
    ///
    /// # Errors
    /// One can't be started, or the folder can't be made.
    pub fn run(
        &self,
        program: &Program,
        environment: &[(String, OsString)],
        launcher: &Launcher,
        stop: &Stop,
    ) -> Result<Run> {
        match fs::remove_dir_all(&self.work) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).context("emptying a program's folder");
            }
            _ => fs::create_dir(&self.work).context("making a program's folder")?,
        }
        let mut all: Vec<_> = inherited().filter(|(name, _)| name != "HOME").collect();
        let own = [("HOME", self.work.as_os_str()), ("LC_ALL", "C.UTF-8".as_ref())];
        all.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        all.push(("TZ".to_owned(), "UTC".into()));
        let named = program.environment.iter();
        all.extend(named.map(|(name, value)| ((*name).to_owned(), (*value).into())));
        all.extend(environment.iter().cloned());
        let mut run = Run { commands: Vec::new() };
        for words in program.commands {
            let here = self.here.to_string_lossy();
            let arguments: Vec<_> =
                words.iter().map(|word| word.replace("{here}", &here)).collect();
            let ended = command::run(launcher, &arguments, &self.work, &all, stop)?;
            let well = ended.end.is_success();
            run.commands.push((words.join(" "), ended));
            if !well {
                break;
            }
        }
        Ok(run)
    }
}

/// This process's environment, without what is meant for allocators.
fn inherited() -> impl Iterator<Item = (String, OsString)> {
    env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        (!is_telling(&name)).then_some((name, value))
    })
}

fn is_here(executable: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(executable).is_file()))
}

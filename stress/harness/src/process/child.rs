//! Children of a tool: the tool's own binary, started again with `__child TOOL JOB` as its
//! arguments.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::exit;
use crate::process::preload::die_with_the_parent;

/// The first argument of a process that is a child; the tool's name and the job are the second and
/// third.
pub const MARKER: &str = "__child";

/// A tool's name, and its child: from the job to the process's exit code.
pub type Tool<'a> = (&'a str, &'a dyn Fn(&str) -> u8);

/// A command that starts `program` as a child of `tool` with that job, under the command line
/// `wrapper` if it is not empty.
pub fn command(wrapper: &[String], program: &Path, tool: &str, job: &str) -> Command {
    let mut command = match wrapper {
        [] => Command::new(program),
        [wrapping, arguments @ ..] => {
            let mut command = Command::new(wrapping);
            command.args(arguments).arg(program);
            command
        }
    };
    command.args([MARKER, tool, job]);
    command
}

/// Runs the child that the process's arguments ask for, the program's name first; none if they ask
/// for no child. It dies with its parent.
pub fn dispatch(arguments: &[OsString], tools: &[Tool<'_>]) -> Option<u8> {
    let [_, first, rest @ ..] = arguments else { return None };
    if first != MARKER {
        return None;
    }
    let [tool, job] = rest else {
        eprintln!("error: {MARKER} takes a tool and a job: only a tool starts its children");
        return Some(exit::FAILED);
    };
    let Some((_, main)) = tools.iter().find(|(name, _)| tool == name) else {
        eprintln!("error: no tool {} has children", tool.display());
        return Some(exit::FAILED);
    };
    die_with_the_parent();
    Some(main(&job.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dispatched(arguments: &[&str]) -> Option<u8> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        dispatch(&arguments, &[("one", &|job| job.len() as u8), ("two", &|_| 200)])
    }

    #[test]
    fn a_child_is_known_by_its_arguments() {
        let command = command(&[], Path::new("tool"), "one", "a job");
        let mut words = vec!["tool"];
        words.extend(command.get_args().map(|word| word.to_str().unwrap()));
        assert_eq!(words, ["tool", MARKER, "one", "a job"]);
        assert_eq!(dispatched(&["tool"]), None);
        assert_eq!(dispatched(&["tool", "one", "a job"]), None);
        assert_eq!(dispatched(&["tool", MARKER, "three", "a job"]), Some(exit::FAILED));
        assert_eq!(dispatched(&["tool", MARKER, "one"]), Some(exit::FAILED));
        assert_eq!(dispatched(&words), Some(5));
        assert_eq!(dispatched(&["tool", MARKER, "two", ""]), Some(200));
    }

    #[test]
    fn a_wrapper_stands_before_the_program() {
        let wrapper = ["valgrind", "--quiet"].map(str::to_owned);
        let command = command(&wrapper, Path::new("tool"), "one", "job");
        assert_eq!(command.get_program(), "valgrind");
        let words: Vec<_> = command.get_args().collect();
        assert_eq!(words, ["--quiet", "tool", MARKER, "one", "job"]);
    }
}

//! What a child says to its supervisor: one JSON object per line on the child's standard output.
//! The supervisor says one thing only to the child, to stop, by closing the child's standard input.

use std::io::{self, Write};

use drystone_checker::counters::{Counters, Notes, Seen};
use drystone_harness::usage::Usage;
use serde::{Deserialize, Serialize};

use crate::model::finding::{Finding, Round};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "message")]
pub enum Message {
    /// The allocator is loaded, verified to be the one asked for, and work begins.
    Ready,
    /// What was done so far, several times a second.
    Progress {
        /// The sum over all workers since the run began.
        counters: Counters,
        /// What each worker is at.
        doing: Vec<String>,
        /// The round under way.
        round: Option<Round>,
        /// What the process uses.
        #[serde(default)]
        usage: Usage,
    },
    /// The allocator gave a wrong answer; the child ends.
    Finding {
        /// The wrong answer.
        finding: Box<Finding>,
        /// What was done up to then.
        counters: Counters,
        /// What was noted up to then.
        notes: Notes,
        /// How long the calls took up to then, and which came up.
        #[serde(default)]
        seen: Seen,
    },
    /// Where the worker was that saw the wrong answer; comes after it, if it was asked for.
    Backtrace {
        /// A frame in a line or two.
        frames: String,
    },
    /// A signal ended the child's work; the last thing it says.
    Dying {
        /// The worker that was hit, if it was one.
        thread: Option<usize>,
        /// How many operations it had begun.
        operation: u64,
    },
    /// The harness in the child has panicked; the child ends. Its exit status alone would not show
    /// it, for an allocator may end the process with any.
    Panicked,
    /// The run can't be made as asked: wrong usage, not the allocator's fault.
    Rejected {
        /// One sentence that names what to change.
        why: String,
    },
    /// The work is done, and all checks at the end have passed.
    Done {
        /// What was done.
        counters: Counters,
        /// What was noted.
        notes: Notes,
        /// How long the calls took, and which came up.
        #[serde(default)]
        seen: Seen,
    },
}

/// Writes a line of its own to standard output, whatever the allocator has half written there. A
/// supervisor that is gone reads nothing; the child learns of that by its standard input's end.
pub fn send(message: &Message) {
    send_line(message);
}

/// The same with another kind of message.
pub fn send_line(message: &impl Serialize) {
    let mut line = vec![b'\n'];
    serde_json::to_writer(&mut line, message).expect("messages have string keys only");
    line.push(b'\n');
    let mut out = io::stdout().lock();
    let _ = out.write_all(&line).and_then(|()| out.flush());
}

/// Reads one line back; none if it is something else, which an allocator may print.
pub fn parse(line: &str) -> Option<Message> {
    line.starts_with('{').then(|| serde_json::from_str(line).ok()).flatten()
}

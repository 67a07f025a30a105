//! What a child has said so far, and a finding made of that where the child could say no more.

use std::io::BufRead;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use drystone_checker::counters::{Counters, Notes, Seen};
use drystone_checker::violation::Kind;
use drystone_harness::usage::Usage;

use crate::model::finding::{Finding, Round};
use crate::model::message::{self, Message};
use crate::model::spec::Spec;

/// What the child has said so far.
#[derive(Default)]
pub(super) struct Heard {
    pub counters: Counters,
    pub usage: Usage,
    pub notes: Notes,
    pub seen: Seen,
    pub doing: Vec<String>,
    pub round: Option<Round>,
    pub ready: bool,
    pub done: bool,
    pub dying: Option<(Option<usize>, u64)>,
    pub finding: Option<Finding>,
    pub rejected: Option<String>,
    pub panicked: bool,
    pub backtrace: Option<String>,
    pub last_sign_of_life: Option<Instant>,
}

impl Heard {
    /// A finding that only the supervisor could see, with what the child said last.
    pub(super) fn finding(
        &self,
        spec: &Spec,
        elapsed: Duration,
        kind: Kind,
        expected: &str,
        seen: String,
    ) -> Finding {
        let mut finding = spec.finding(elapsed, kind, expected, seen);
        finding.round = self.round;
        if let Some((thread, operation)) = self.dying {
            (finding.thread, finding.operation) = (thread, Some(operation));
        }
        finding
    }

    pub(super) fn take(&mut self, message: Message) {
        match message {
            Message::Ready => self.ready = true,
            Message::Progress { counters, doing, round, usage } => {
                self.usage = usage;
                // Work done is the sign of life, not the report of it.
                if counters != self.counters {
                    self.last_sign_of_life = Some(Instant::now());
                }
                if !self.done {
                    (self.counters, self.doing, self.round) = (counters, doing, round);
                }
            }
            Message::Finding { finding, counters, notes, seen } => {
                self.finding.get_or_insert(*finding);
                (self.counters, self.notes, self.seen) = (counters, notes, seen);
            }
            Message::Dying { thread, operation } => self.dying = Some((thread, operation)),
            Message::Backtrace { frames } => self.backtrace = Some(frames),
            Message::Panicked => self.panicked = true,
            Message::Rejected { why } => self.rejected = Some(why),
            Message::Done { counters, notes, seen } => {
                (self.counters, self.notes, self.seen, self.done) = (counters, notes, seen, true);
            }
        }
    }
}

/// A line that is no message is the allocator's own talk, in whatever bytes. An error is the pipe's
/// end.
pub(super) fn listen(output: impl BufRead, sender: &Sender<Message>) {
    for line in output.split(b'\n').map_while(Result::ok) {
        if let Some(message) = message::parse(&String::from_utf8_lossy(&line))
            && sender.send(message).is_err()
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn what_an_allocator_prints_hides_no_message() {
        let (sender, messages) = mpsc::channel();
        let output = b"\xff\xfe\x80\n{\xff}\nhalf a line\n{\"message\":\"ready\"}\n\xff";
        listen(&output[..], &sender);
        drop(sender);
        assert_eq!(messages.iter().collect::<Vec<_>>(), [Message::Ready]);
    }
}

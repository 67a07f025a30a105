//! Injected failures of the OS: a run whose calls to it fail, one after the other, then by chance.
//!
//! | phase | what fails |
//! |---|---|
//! | each in turn | the k-th call since injection was armed, each k in a process of its own |
//! | by chance | one call in so many, while all threads work |
//! | address space | whatever the kernel does when `RLIMIT_AS` is reached |
//!
//! In turn, k goes from 1 on until a run sees no further call, or finds something. What must hold:
//! null with `ENOMEM`, every live block as it was, nothing leaked, and every request granted again
//! afterwards. See `child/inject`.
//!
//! | who makes them fail | whose calls |
//! |---|---|
//! | [`By::FaultyOs`] | of a linked heap whose OS is [`faulty_os`](crate::inject::faulty_os) |
//! | [`By::Notify`] | of the whole process, except for the harness's own memory |
//! | [`By::Limit`] | the kernel's own limit |

use anyhow::{Context, Result};

use crate::inject::seccomp::notifier::Notifier;
use crate::model::finding::Finding;
use crate::model::injection::{By, Calls, FAILED, Injection, MADE};
use crate::model::job::{InjectionJob, Job};
use crate::model::outcome::Outcome;
use crate::model::spec::Spec;

/// Makes one run of the scenario: `make` is handed its job.
///
/// # Errors
/// Those of `make`; and the notifications fail, in a run that finds nothing.
pub fn run(
    spec: &Spec,
    injection: Injection,
    make: impl FnOnce(&Job) -> Result<Outcome>,
) -> Result<Outcome> {
    let notifier = match injection.by {
        By::Notify => Some(Notifier::start(injection.plan).context("a socket for injection")?),
        _ => None,
    };
    let socket = notifier.as_ref().map(Notifier::socket);
    let injection_job = Some(InjectionJob { plan: injection.plan, socket });
    let job = Job { injection: injection_job, backtrace: true, ..Job::plain(spec) };
    let outcome = make(&job);
    let finished = notifier.map_or(Ok(None), Notifier::finish);
    let mut outcome = outcome?;
    // What was found, or a run that has failed, tells more than what its end does to the notifier:
    // a child that dies early leaves that without an answer.
    let last = match (finished, &outcome.finding) {
        (Err(error), None) => return Err(error).context("injection by notifications"),
        (finished, _) => finished.ok().flatten(),
    };
    let which = last.map_or_else(String::new, |call| format!(" (the last was {call})"));
    let injected = format!("{}{which}", injection.plan);
    outcome.finding =
        outcome.finding.map(|finding| Finding { injected: Some(injected), ..finding });
    Ok(outcome)
}

/// What a run's notes say of the calls. None if it has not come to the end of its failures, or
/// nobody counts there.
pub fn calls(outcome: &Outcome) -> Option<Calls> {
    let note = |name: &str| outcome.notes.get(name).copied();
    Some(Calls { made: note(MADE)?, failed: note(FAILED)? })
}

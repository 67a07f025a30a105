//! `cargo stress refuse`: the subject's calls to the OS fail, one after the other, then by chance.
//!
//! | phase | refuses |
//! |---|---|
//! | each in turn | the k-th call, for every k, until a run sees no further one; each a process |
//! | by chance | one call in so many, while all threads work |
//! | address space | whatever the kernel does when `RLIMIT_AS` is reached |
//!
//! What must hold: null with `ENOMEM`, every live block as it was, nothing leaked, and every request granted
//! again afterwards. See [`scenario`].
//!
//! | who refuses | whose calls |
//! |---|---|
//! | [`By::FakeOs`] | of a linked heap whose OS is [`fake_os`](crate::fake_os) |
//! | [`By::Notify`] | of the whole process but for the harness's own memory: [`notify`](crate::notify) |
//! | [`By::Limit`] | the kernel |

pub mod refuser;
pub mod scenario;
pub mod tool;

use anyhow::{Context, Result};

use crate::finding::Finding;
use crate::job::{Job, Refusal};
use crate::notify::Notifier;
pub use crate::plan::{By, Calls, Plan, Refused};
use crate::spec::Spec;
use crate::stop::Stop;
use crate::supervisor::{Outcome, Progress, Supervisor};

/// Makes one run of the scenario.
///
/// # Errors
/// As [`Supervisor::run`]; and the notifications fail.
pub fn run(
    supervisor: &Supervisor,
    spec: &Spec,
    refused: Refused,
    stop: &Stop,
    progress: &mut Progress<'_>,
) -> Result<Outcome> {
    let notifier = match refused.by {
        By::Notify => Some(Notifier::start(refused.plan).context("a socket for refusals")?),
        _ => None,
    };
    let socket = notifier.as_ref().map(Notifier::socket);
    let refusal = Some(Refusal { plan: refused.plan, socket });
    let job = Job { refusal, backtrace: true, ..Job::plain(spec) };
    let outcome = supervisor.job(&job, stop, progress);
    if let Some(notifier) = notifier {
        // A run that has failed tells more than what its end does to the notifier.
        if let (Err(error), Ok(_)) = (notifier.finish(), &outcome) {
            return Err(error).context("refusing by notifications");
        }
    }
    let mut outcome = outcome?;
    outcome.finding = outcome
        .finding
        .map(|finding| Finding { refused: Some(refused.plan.to_string()), ..finding });
    Ok(outcome)
}

/// What a run's notes say of the calls.
pub fn calls(outcome: &Outcome) -> Calls {
    let note = |name: &str| outcome.notes.get(name).copied().unwrap_or(0);
    Calls { made: note("calls to the OS"), refused: note("calls to the OS refused") }
}

/// The last call that was refused, if the notes say.
pub fn last_refused(outcome: &Outcome) -> Option<&str> {
    outcome.notes.keys().find_map(|note| note.strip_prefix("refused last: "))
}

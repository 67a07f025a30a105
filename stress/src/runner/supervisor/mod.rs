//! The supervisor of one run: starts the child, listens, and makes a finding of its death or
//! silence.
//!
//! | file | holds |
//! |---|---|
//! | `heard` | what the child has said so far |
//! | `error_tail` | the end of what it prints on standard error |
//! | `watch` | one child from its start to its end, and what that end says of the allocator |

mod error_tail;
mod heard;
mod watch;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Result, anyhow};
use drystone_harness::process::dlopen_fixture::DlopenFixture;
use drystone_harness::process::preload;
use drystone_harness::stop::Stop;

use crate::model::job::Job;
use crate::model::outcome::Outcome;
use crate::model::spec::Spec;
use crate::runner::supervisor::watch::Watch;

pub use self::watch::Progress;

/// How children are started, and how long they may be silent.
#[derive(Clone, Debug)]
pub struct Supervisor {
    /// The binary, which calls `child::main` when its arguments are a child's.
    pub program: PathBuf,
    /// A child whose workers finish no operation for so long hangs, and so does one that goes on
    /// for so long after its time. Long: a loaded machine is no finding.
    pub patience: Duration,
    /// The library that children load and close, compiled for the first that does.
    pub fixture: Arc<OnceLock<Result<DlopenFixture, String>>>,
}

impl Supervisor {
    /// A supervisor whose children are this very binary.
    ///
    /// # Errors
    /// The OS does not say which binary this is.
    pub fn of_this_binary() -> Result<Self> {
        let program = preload::this_binary()?;
        Ok(Self { program, patience: Duration::from_secs(60), fixture: Arc::default() })
    }

    /// Makes one run, to its end or until `stop`.
    ///
    /// # Errors
    /// The child can't be started, rejects the run, or the harness in it failed: nothing that an
    /// allocator does.
    pub fn run(&self, spec: &Spec, stop: &Stop, progress: &mut Progress<'_>) -> Result<Outcome> {
        self.job(&Job::plain(spec), stop, progress)
    }

    /// Makes one run with all that is wanted of it besides.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn job(&self, job: &Job, stop: &Stop, progress: &mut Progress<'_>) -> Result<Outcome> {
        let mut job = job.clone();
        if job.spec.loads() {
            let fixture = self.fixture.get_or_init(DlopenFixture::compile).as_ref();
            let fixture = fixture
                .map_err(|why| anyhow!("{why}; or set lifecycle:load=0, which loads no library"))?;
            job.fixture = Some(fixture.path());
        }
        let mut watch = Watch::start(&self.program, &job)?;
        let ended = watch.until_the_end(self.patience, stop, progress)?;
        watch.judge(ended)
    }
}

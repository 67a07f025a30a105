//! What a child is handed: the run, and what the supervisor wants of it besides.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::injection::InjectionPlan;
use crate::model::spec::Spec;

/// The name of this tool, of which the children are.
pub const TOOL: &str = "stress";

/// One child's work, handed to it as one argument of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The run.
    pub spec: Spec,
    /// Where the child finds the file for its journal, if it is to write one.
    #[serde(default)]
    pub journal: Option<PathBuf>,
    /// Where the child finds a journal whose order it is to repeat, in place of the workload.
    #[serde(default)]
    pub script: Option<PathBuf>,
    /// The calls to the OS that fail, while a scenario runs in place of the workload.
    #[serde(default)]
    pub injection: Option<InjectionJob>,
    /// A library that the child may load and close, if its workload does that.
    #[serde(default)]
    pub fixture: Option<PathBuf>,
    /// A call that takes so long of its own time hangs.
    #[serde(default)]
    pub deadline: Option<Duration>,
    /// Whether a finding comes with a backtrace, which takes a while.
    #[serde(default)]
    pub backtrace: bool,
}

impl Job {
    /// The run and nothing else.
    pub fn plain(spec: &Spec) -> Self {
        let spec = spec.clone();
        Self {
            spec,
            journal: None,
            script: None,
            injection: None,
            fixture: None,
            deadline: None,
            backtrace: false,
        }
    }
}

/// Calls to the OS that fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectionJob {
    /// Which.
    pub plan: InjectionPlan,
    /// Where the supervisor listens who makes them fail; none if the allocator's own OS does.
    pub socket: Option<PathBuf>,
}

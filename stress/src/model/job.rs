//! What a child is handed: the run, and what the supervisor wants of it besides.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::injection::Plan;
use crate::model::spec::Spec;

/// The first argument that makes the binary a child; the second is the run.
pub const CHILD: &str = "__child";

/// One child's work, handed to it as one argument of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The run.
    pub spec: Spec,
    /// Where the child finds the file for its log, if it is to write one.
    #[serde(default)]
    pub log: Option<PathBuf>,
    /// Where the child finds a log whose order it is to repeat, in place of the workload.
    #[serde(default)]
    pub script: Option<PathBuf>,
    /// The calls to the OS that are refused, while a scenario runs in place of the workload.
    #[serde(default)]
    pub refusal: Option<Refusal>,
    /// A library that the child may load and close, if its workload does that.
    #[serde(default)]
    pub loaded: Option<PathBuf>,
    /// Whether a finding comes with a backtrace, which takes a while.
    #[serde(default)]
    pub backtrace: bool,
}

impl Job {
    /// The run and nothing else.
    pub fn plain(spec: &Spec) -> Self {
        let spec = spec.clone();
        Self { spec, log: None, script: None, refusal: None, loaded: None, backtrace: false }
    }
}

/// Calls to the OS that are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which.
    pub plan: Plan,
    /// Where the supervisor listens who refuses them; none if the subject's own OS does.
    pub socket: Option<PathBuf>,
}

//! Bounds that measurements are judged by.

use serde::Serialize;
use thiserror::Error;

/// A bound, and what was seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bound {
    /// What is measured.
    pub measure: String,
    /// What it must be.
    pub bound: String,
    /// What it is, as far as there are figures.
    pub seen: Option<f64>,
    /// Whether it is reached.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Whether a bound is reached.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// It is.
    Met,
    /// It is not.
    Missed {
        /// By which part of the bound.
        by: f64,
    },
    /// There is too little to judge by.
    CannotTell {
        /// What is missing.
        why: String,
    },
}

/// One side of a bound.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Limit {
    fn text(self) -> String {
        match self {
            Limit::AtMost(limit) => format!("≤ {limit:.2}"),
            Limit::AtLeast(limit) => format!("≥ {limit:.2}"),
        }
    }

    /// Whether a figure reaches it.
    pub fn judge(self, seen: f64) -> Verdict {
        let by = match self {
            Limit::AtMost(limit) => seen / limit - 1.0,
            Limit::AtLeast(limit) => limit / seen - 1.0,
        };
        // More than the last digits of a mean.
        if by > 1e-9 { Verdict::Missed { by } } else { Verdict::Met }
    }
}

/// Why there is no figure, as the reader of a report is told.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NoFigure(pub String);

impl From<&str> for NoFigure {
    fn from(why: &str) -> Self {
        Self(why.to_owned())
    }
}

/// A figure, or why there is none.
pub type Figure = Result<f64, NoFigure>;

/// A bound, and whether what was seen reaches it; `why_not` says why that is not to be judged.
pub fn bound(measure: String, limit: Limit, seen: Figure, why_not: Option<String>) -> Bound {
    let verdict = match (&seen, why_not) {
        (Err(why), _) => Verdict::CannotTell { why: why.to_string() },
        (Ok(_), Some(why)) => Verdict::CannotTell { why },
        (Ok(seen), None) => limit.judge(*seen),
    };
    Bound { measure, bound: limit.text(), seen: seen.ok(), verdict }
}

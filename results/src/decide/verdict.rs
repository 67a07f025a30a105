//! Verdicts, and the limits they keep.

use serde::{Deserialize, Serialize};

use super::sign::Sequence;

/// What is said of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// B is worse than A by more than the floor.
    Regressed,
    /// Not decided.
    Inconclusive,
    /// B is better than A by more than the floor.
    Improved,
    /// The change is shown to lie within the margin.
    Ok,
}

impl Verdict {
    /// All, worst first.
    pub const ALL: [Self; 4] = [Self::Regressed, Self::Inconclusive, Self::Improved, Self::Ok];

    /// As it is printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Regressed => "REGRESSED",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Improved => "IMPROVED",
            Self::Ok => "OK",
        }
    }
}

/// Where verdicts begin, in the unit of the values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Beyond this, up or down, is REGRESSED or IMPROVED.
    pub floor: f64,
    /// Shown to lie within this is OK.
    pub margin: f64,
}

impl Limits {
    /// Those of times, given as fractions, for values that are logarithms of ratios.
    pub fn of_ratio(floor: f64, margin: f64) -> Self {
        Self { floor: floor.ln_1p(), margin: margin.ln_1p() }
    }

    /// The verdict that the values so far give.
    pub fn verdict(self, values: &Sequence) -> Verdict {
        if values.low() > self.floor {
            Verdict::Regressed
        } else if values.high() < -self.floor {
            Verdict::Improved
        } else if values.low() > -self.margin && values.high() < self.margin {
            Verdict::Ok
        } else {
            Verdict::Inconclusive
        }
    }
}

/// A row while it is measured. A verdict beyond the floor stands, and values after it are not
/// looked at; so does [`Verdict::Ok`], except while most values lie beyond the floor: such a row
/// is measured on, and may turn out to be beyond it. It stays `Ok` otherwise.
#[derive(Clone, Debug)]
pub struct Judge {
    limits: Limits,
    values: Sequence,
    verdict: Verdict,
}

impl Judge {
    /// For one of `questions` asked together, that with probability `error` at most has any false
    /// REGRESSED or IMPROVED among them: two tests for each.
    pub fn new(limits: Limits, questions: usize, error: f64) -> Self {
        let ln_wanted = (2.0 * questions.max(1) as f64 / error).ln();
        Self { limits, values: Sequence::new(ln_wanted), verdict: Verdict::Inconclusive }
    }

    /// Takes a value, if more are of use.
    pub fn push(&mut self, value: f64) {
        if !self.is_settled() {
            self.values.push(value);
            self.verdict = self.limits.verdict(&self.values);
        }
    }

    /// The verdict so far.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether more values are of no use: the verdict stands.
    pub fn is_settled(&self) -> bool {
        match self.verdict {
            Verdict::Regressed | Verdict::Improved => true,
            Verdict::Ok => !self.values.leans_beyond(self.limits.floor),
            Verdict::Inconclusive => false,
        }
    }

    /// The values that it rests on.
    pub fn values(&self) -> &Sequence {
        &self.values
    }

    /// The limits it keeps.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether values lie beyond the floor, in either direction.
    pub fn is_beyond_floor(&self) -> bool {
        matches!(self.verdict, Verdict::Regressed | Verdict::Improved)
    }
}

//! What is asked for.

use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::evidence::{Lane, RowPlan, Settings};
use crate::lanes::{self, Until};
use crate::pair;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// A change of time up to this fraction is no regression.
    pub floor: f64,
    /// `OK` means shown to lie within this fraction.
    pub margin: f64,
    /// How long to measure at most.
    pub budget: Duration,
    /// The lanes.
    pub lanes: Vec<Lane>,
    /// Rows whose names begin with one of these; all, if empty.
    pub rows: Vec<String>,
    /// Whether identical sides are measured all the same.
    pub no_identical: bool,
    /// Instructions that grow by more than this fraction are a regression.
    pub instructions: Option<f64>,
    /// The recipe that was named, for the evidence.
    pub recipe: Option<PathBuf>,
    /// What every choice comes from; drawn, if none.
    pub seed: Option<u64>,
    /// When the time lane has enough.
    pub until: Until,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            floor: 0.01,
            margin: 0.03,
            budget: Duration::from_secs(300),
            lanes: Lane::ALL.to_vec(),
            rows: Vec::new(),
            no_identical: false,
            instructions: None,
            recipe: None,
            seed: None,
            until: Until::Decided,
        }
    }
}

impl Wishes {
    /// The settings of the evidence.
    ///
    /// # Errors
    /// If no row begins as one was named.
    pub fn settings(&self) -> Result<Settings> {
        let null_every = match self.until {
            Until::Decided => 8,
            // A beside itself is all there is, or nothing is judged.
            Until::Processes(_) => u32::MAX,
        };
        Ok(Settings {
            floor: self.floor,
            margin: self.margin,
            error: 0.02,
            budget_s: self.budget.as_secs_f64(),
            null_every,
            lanes: self.lanes.clone(),
            rows: self.rows()?,
            memory_floor: 0.02,
            tail_floor: [10.0, 5.0],
            instructions_gate: self.instructions,
            recipe: self.recipe.as_ref().map(|recipe| recipe.display().to_string()),
        })
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        // Nobody's choice: the standard library's hash keys are random.
        let any = || std::collections::hash_map::RandomState::new().build_hasher().finish();
        self.seed.unwrap_or_else(any)
    }

    fn rows(&self) -> Result<Vec<RowPlan>> {
        let traces: Vec<String> =
            lanes::scripts::known().into_iter().map(|(name, _)| name).collect();
        let mut rows = pair::plans();
        rows.extend(pair::trace_rows(&traces));
        let known: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
        if !self.rows.is_empty() {
            rows.retain(|row| self.rows.iter().any(|wanted| row.name.starts_with(wanted.as_str())));
        }
        ensure!(!rows.is_empty(), "--rows: no row begins so; there are {}", known.join(", "));
        Ok(rows)
    }
}

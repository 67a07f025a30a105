//! What is asked for.

use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use drystone_workloads::committed;

use crate::build::Also;
use crate::evidence::{Lane, RowPlan, Settings};
use crate::lanes::{self, Until};
use crate::pair::{self, TRACE};

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
    /// Rows whose names begin with one of these; all, if empty. A trace that is not of the suites
    /// must be named with its first letter at least.
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
    /// Libraries to compare besides.
    pub also: Vec<Also>,
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
            also: Vec::new(),
        }
    }
}

impl Wishes {
    /// The settings of the evidence, with the rows to measure.
    pub fn settings(&self, rows: Vec<RowPlan>) -> Settings {
        let null_every = match self.until {
            Until::Decided => 8,
            // A beside itself is all there is, or nothing is judged.
            Until::Processes(_) => u32::MAX,
        };
        Settings {
            floor: self.floor,
            margin: self.margin,
            error: 0.02,
            budget_s: self.budget.as_secs_f64(),
            null_every,
            lanes: self.lanes.clone(),
            rows,
            memory_floor: 0.02,
            tail_floor: [10.0, 5.0],
            instructions_gate: self.instructions,
            recipe: self.recipe.as_ref().map(|recipe| recipe.display().to_string()),
        }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        // Nobody's choice: the standard library's hash keys are random.
        let any = || std::collections::hash_map::RandomState::new().build_hasher().finish();
        self.seed.unwrap_or_else(any)
    }

    /// The rows that are asked for: of the sides themselves, then of each library besides.
    ///
    /// # Errors
    /// If no row begins as one was named, or a library's row is none.
    pub fn rows(&self) -> Result<Vec<Vec<RowPlan>>> {
        // A program that was copied away from the repository has no traces, and all other rows.
        let traces = committed::all().unwrap_or_default();
        let traces: Vec<String> = traces.into_iter().map(|(name, _)| name).collect();
        let mut own = pair::plans();
        own.extend(pair::trace_rows(&traces));
        let mut rows = vec![own.clone()];
        for also in &self.also {
            let mut besides = rows_of(also, &own)?;
            besides.retain(|row| self.is_measured_besides(row));
            rows.push(besides);
        }
        let known: Vec<&str> = rows.iter().flatten().map(|row| row.name.as_str()).collect();
        for begin in &self.rows {
            ensure!(
                known.iter().any(|name| name.starts_with(begin)),
                "--rows: no row begins with `{begin}`; there are {}",
                known.join(", ")
            );
        }
        let is_wanted = |row: &RowPlan| {
            self.rows.is_empty() || self.rows.iter().any(|begin| row.name.starts_with(begin))
        };
        rows.iter_mut().for_each(|rows| rows.retain(is_wanted));
        // What a recipe lists of a library besides is asked for by that.
        rows[0].retain(|row| Self::is_by_default(row) || self.is_named(row));
        Ok(rows)
    }

    /// Whether a row is measured if nobody names it. There are more traces than fit the budget.
    fn is_by_default(row: &RowPlan) -> bool {
        let recorded = row.name.strip_prefix(TRACE);
        recorded.is_none_or(|name| committed::OF_THE_SUITES.contains(&name))
    }

    /// Whether a trace is named, and not just all traces.
    fn is_named(&self, row: &RowPlan) -> bool {
        let named = |begin: &String| begin.len() > TRACE.len() && row.name.starts_with(begin);
        self.rows.iter().any(named)
    }

    /// Whether a lane measures this row of a library besides: the other lanes are of the sides
    /// themselves.
    fn is_measured_besides(&self, row: &RowPlan) -> bool {
        let counts = || lanes::can_count() && !pair::has_threads(&row.name);
        self.lanes.contains(&Lane::Time) || self.lanes.contains(&Lane::Instructions) && counts()
    }
}

/// The rows of a library besides.
fn rows_of(also: &Also, own: &[RowPlan]) -> Result<Vec<RowPlan>> {
    let Also { name, .. } = also;
    let first = |row: &RowPlan| row.name.split('/').next() == Some(name);
    ensure!(!own.iter().any(first), "`also`: the name `{name}` is that of a row: choose another");
    let row = |wanted: &String| {
        let row = own.iter().find(|row| row.name == *wanted).with_context(|| {
            let known: Vec<&str> = own.iter().map(|row| row.name.as_str()).collect();
            format!("`also`: {name} has no row `{wanted}`; there are {}", known.join(", "))
        })?;
        Ok(RowPlan { name: format!("{name}/{wanted}"), ..row.clone() })
    };
    also.rows.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::build::Recipe;

    /// This project's own compare.toml: cargo builds the sides, and commands the libraries besides.
    #[test]
    fn our_own_libraries_besides_have_recipes_and_rows() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let recipe = Recipe::of(root).unwrap();
        assert_eq!(recipe.build, None);
        assert!(recipe.also.iter().any(|also| also.name == "list-heap"));
        assert!(recipe.also.iter().all(|also| Recipe::of_also(also, root).is_ok()));
        let names = |lanes: &[Lane], rows: &[&str]| {
            let also = recipe.also.clone();
            let rows = rows.iter().map(|&row| row.to_owned()).collect();
            let wishes = Wishes { lanes: lanes.to_vec(), rows, also, ..Wishes::default() };
            let rows = wishes.rows().map_err(|error| error.to_string())?;
            Ok::<_, String>(rows.into_iter().map(|rows| rows.len()).collect::<Vec<_>>())
        };
        assert_eq!(names(&[Lane::Time], &["pair/64", "list-heap/pair"]), Ok(vec![1, 1]));
        assert_eq!(names(&[Lane::Time], &["list"]), Ok(vec![0, 2]));
        // However many traces there are: the budget is for these.
        assert_eq!(names(&[Lane::Memory], &[]), Ok(vec![14, 0]));
        assert_eq!(names(&[Lane::Time], &["trace/git", "trace/lua"]), Ok(vec![2, 0]));
        assert_eq!(names(&[Lane::Time], &["trace"]), Ok(vec![3, 0]), "those of the suites");
        assert_eq!(names(&[Lane::Memory], &["ring"]), Ok(vec![2, 0]));
        let unmeasured = names(&[Lane::Memory], &["ring", "list"]).unwrap_err();
        assert!(!unmeasured.contains("list-heap"), "{unmeasured}");
        let unknown = names(&[Lane::Time], &["lost"]).unwrap_err();
        assert!(unknown.contains("list-heap/ring/256"), "{unknown}");
    }
}

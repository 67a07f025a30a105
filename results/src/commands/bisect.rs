//! `results bisect`: the commit that made a row slower.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};

use super::options::BisectArguments;
use crate::decide::{Judged, Verdict};
use crate::evidence::{Ended, Lane};
use crate::exit::{CANNOT_TELL, FINE};
use crate::interrupt::{Interrupt, Interrupted};
use crate::output::print;
use crate::report;
use crate::session::{self, Unbuilt, Wishes};
use crate::side::Git;

/// Runs the subcommand; prints the commit, and its comparison with the one before it.
///
/// # Errors
/// If the commits can't be listed, or an end does not build.
pub fn run(arguments: &BisectArguments, interrupt: &Interrupt) -> Result<u8> {
    let commits = commits(&arguments.good, &arguments.bad)?;
    let last = commits.len() - 1;
    let search = Search { commits, arguments, interrupt };
    let rows = search.wishes(0.01, 0.03).rows()?.concat();
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    ensure!(rows.len() == 1, "--row: {} begin so; name one of them", names.join(", "));
    eprintln!("{last} commits; first the two ends");
    let ends = search.compare(0, last, search.wishes(0.01, 0.03))?;
    let row = &ends.tables.rows[0];
    let change = row.judge.values().median().unwrap_or_default();
    if row.judge.verdict() != Verdict::Regressed {
        print(&report::table(&ends, false, true))?;
        eprintln!("nothing to look for: {} is not shown to be slower", arguments.bad);
        return Ok(CANNOT_TELL);
    }
    // Half-way between both: there, one question tells which end a commit is like.
    let half = (change / 2.0).exp_m1();
    let Some(found) = search.search(half)? else { return Ok(CANNOT_TELL) };
    let hash = &search.commits[found];
    let git = git()?;
    let about = git.ask(&["log", "-1", "--format=%h %an, %as: %s", hash])?;
    print(&format!("{about}\n\n"))?;
    let proof = search.compare(found - 1, found, search.wishes(0.01, 0.03));
    match proof {
        Ok(judged) => print(&report::table(&judged, false, true))?,
        // The one before it does not build: then it is one of several.
        Err(error) => eprintln!("the one before it can't be measured: {error:#}"),
    }
    Ok(FINE)
}

fn git() -> Result<Git> {
    let git = Git::around(&std::env::current_dir()?)?;
    git.context("this folder is in no git repository")
}

/// The good commit, and those after it up to the bad one, by first parents.
fn commits(good: &str, bad: &str) -> Result<Vec<String>> {
    let git = git()?;
    let hash = |name: &str| {
        git.commit(name)?.with_context(|| format!("`{name}` is no commit, branch or tag here"))
    };
    let (good, bad) = (hash(good)?, hash(bad)?);
    let range = format!("{good}..{bad}");
    let listed = git.ask(&["rev-list", "--reverse", "--first-parent", &range])?;
    ensure!(
        git.ask(&["merge-base", &good, &bad])? == good && !listed.is_empty(),
        "{bad} does not come after {good}: name the older one first"
    );
    Ok(std::iter::once(good).chain(listed.lines().map(str::to_owned)).collect())
}

struct Search<'a> {
    /// The good one first, the bad one last.
    commits: Vec<String>,
    arguments: &'a BisectArguments,
    interrupt: &'a Interrupt,
}

impl Search<'_> {
    fn wishes(&self, floor: f64, margin: f64) -> Wishes {
        Wishes {
            floor,
            margin,
            budget: self.arguments.budget,
            lanes: vec![Lane::Time],
            rows: vec![self.arguments.row.clone()],
            seed: self.arguments.seed,
            ..Wishes::default()
        }
    }

    fn compare(&self, a: usize, b: usize, wishes: Wishes) -> Result<Judged> {
        let names = [a, b].map(|at| self.commits[at].chars().take(12).collect::<String>());
        let unbuilt = Unbuilt::find(names, self.arguments.recipe.as_deref())?;
        let sides = unbuilt.build(self.interrupt)?;
        let (evidence, path) = session::run(&sides, &wishes, self.interrupt)?;
        eprintln!("evidence: {path}");
        if self.interrupt.is_set() {
            return Err(Interrupted.into());
        }
        Ok(Judged::of(evidence))
    }

    /// Halves; returns the first bad one, or none where it can't be told, which is then said.
    fn search(&self, half: f64) -> Result<Option<usize>> {
        let (mut good, mut bad) = (0, self.commits.len() - 1);
        let mut skipped = BTreeSet::new();
        while let Some(middle) = next(good, bad, &skipped) {
            let hash = &self.commits[middle][..12];
            let judged = match self.compare(0, middle, self.wishes(half, half)) {
                Ok(judged) => judged,
                Err(error) if error.is::<Interrupted>() => return Err(error),
                Err(error) => {
                    eprintln!("{hash} is skipped: {error:#}");
                    skipped.insert(middle);
                    continue;
                }
            };
            // Identical to the good one: no row was measured.
            let verdict = match judged.why() {
                Some(Ended::Identical) => Verdict::Ok,
                _ => judged.tables.rows[0].judge.verdict(),
            };
            match verdict {
                Verdict::Regressed => bad = middle,
                Verdict::Ok | Verdict::Improved => good = middle,
                Verdict::Inconclusive => {
                    eprintln!("{hash} can't be told: give each comparison more --budget");
                    skipped.insert(middle);
                    continue;
                }
            }
            let word = if bad == middle { "bad" } else { "good" };
            eprintln!("{hash} is {word}; {} commits left", bad - good - 1);
        }
        if good + 1 == bad {
            return Ok(Some(bad));
        }
        eprintln!("it is one of these, of which the others were skipped:");
        self.commits[good + 1..=bad].iter().try_for_each(|hash| print(&format!("{hash}\n")))?;
        Ok(None)
    }
}

/// The commit nearest to the middle between both that was not skipped; none if there is none.
fn next(good: usize, bad: usize, skipped: &BTreeSet<usize>) -> Option<usize> {
    let middle = good + (bad - good) / 2;
    let open = (good + 1..bad).filter(|at| !skipped.contains(at));
    open.min_by_key(|at| at.abs_diff(middle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_skipped_is_gone_around() {
        let skipped = |all: &[usize]| all.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(next(0, 8, &skipped(&[])), Some(4));
        assert_eq!(next(0, 8, &skipped(&[4])), Some(3));
        assert_eq!(next(0, 8, &skipped(&[3, 4, 5])), Some(2));
        assert_eq!(next(3, 5, &skipped(&[4])), None);
        assert_eq!(next(3, 4, &skipped(&[])), None);
    }
}

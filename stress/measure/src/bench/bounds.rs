//! The bounds that the project has set itself, each judged by what was measured.

use drystone_harness::allocators::{MIMALLOC, PEERS, SYSTEM};
use drystone_harness::bounds::{Bound, Figure, Limit, NoFigure, Verdict, bound};
use drystone_harness::stats::geometric_mean;

use crate::bench::campaign::{Results, RowResults};
use crate::bench::suite::Kind;

/// A row whose A/A spread is above this is shown, not judged.
pub const WIDEST_SPREAD: f64 = 0.10;
/// Resident sets above the floor that are smaller, in KiB, count as this much: the kernel counts
/// pages in batches, one to a core.
pub const SMALLEST_PEAK: f64 = 64.0;

/// All bounds, judged for the first allocator.
pub fn judge(results: &Results) -> Vec<Bound> {
    let judge = Judge { results };
    let mut bounds = vec![
        judge.mean("time", MIMALLOC, Limit::AtMost(0.90), Judge::time),
        judge.best_peer(Limit::AtMost(0.95)),
    ];
    bounds.extend(judge.each_row(Limit::AtMost(1.25)));
    let checking = [
        ("hardened_malloc", 2.5),
        ("scudo", 2.2),
        ("mimalloc-secure", 1.4),
        ("snmalloc-checks", 1.15),
    ];
    for (peer, times) in checking {
        bounds.push(judge.times_as_fast(peer, Limit::AtLeast(times)));
    }
    bounds.extend(judge.across_threads(Limit::AtMost(1.0)));
    bounds.push(judge.mean("peak resident set", MIMALLOC, Limit::AtMost(0.65), Judge::peak));
    bounds.push(judge.mean("peak resident set", SYSTEM, Limit::AtMost(1.10), Judge::peak));
    bounds.push(judge.scaling(Limit::AtLeast(0.95)));
    bounds.push(judge.span_lock(Limit::AtLeast(1000.0)));
    bounds
}

/// Whether a row belongs to the suite's means.
pub fn in_the_means(kind: Kind) -> bool {
    kind != Kind::Scaling
}

struct Judge<'a> {
    results: &'a Results,
}

impl Judge<'_> {
    fn place(&self, name: &str) -> Result<usize, NoFigure> {
        let allocators = &self.results.plan.allocators;
        let place = allocators.iter().position(|allocator| allocator.name == name);
        match place {
            None => Err(NoFigure(format!("{name} was not measured"))),
            Some(0) => Err(NoFigure(format!("{name} is the one that is judged"))),
            Some(place) => Ok(place),
        }
    }

    /// The peers that were measured, ours not among them.
    fn peers(&self) -> impl Iterator<Item = usize> {
        PEERS.into_iter().filter_map(|peer| self.place(peer).ok())
    }

    fn rows(&self) -> impl Iterator<Item = (&str, Kind, &RowResults)> {
        let rows = self.results.plan.rows.iter().zip(&self.results.rows);
        rows.map(|(row, results)| (row.name.as_str(), row.kind, results))
    }

    fn time(row: &RowResults, allocator: usize) -> Option<f64> {
        row.nanoseconds(allocator)
    }

    fn peak(row: &RowResults, allocator: usize) -> Option<f64> {
        row.peak(allocator).map(|peak| peak.max(SMALLEST_PEAK))
    }

    /// The geometric mean of ours over a peer's, over all rows.
    fn ratio(&self, peer: usize, figure: fn(&RowResults, usize) -> Option<f64>) -> Figure {
        let mut ratios = Vec::new();
        for (name, _, row) in self.rows().filter(|(_, kind, _)| in_the_means(*kind)) {
            let of = |allocator: usize| {
                let allocator_name = &self.results.plan.allocators[allocator].name;
                let none = || NoFigure(format!("{name} has no figure of {allocator_name}"));
                figure(row, allocator).ok_or_else(none)
            };
            ratios.push(of(0)? / of(peer)?);
        }
        geometric_mean(&ratios).ok_or(NoFigure::from("no row of the suite was measured"))
    }

    /// A bound on a mean over the suite, which only the whole suite can tell.
    fn over_the_suite(&self, measure: String, limit: Limit, seen: Figure) -> Bound {
        let plan = &self.results.plan;
        let why = match (&seen, plan.whole, plan.quick, self.results.interrupted) {
            (Err(why), ..) => Some(why.to_string()),
            (_, false, ..) => Some("only some rows of the suite were measured".to_owned()),
            (_, _, true, _) => Some("the rows were cut short".to_owned()),
            (.., true) => Some("stopped before the end".to_owned()),
            _ => None,
        };
        bound(measure, limit, seen, why)
    }

    fn mean(
        &self,
        what: &str,
        peer: &str,
        limit: Limit,
        figure: fn(&RowResults, usize) -> Option<f64>,
    ) -> Bound {
        let seen = self.place(peer).and_then(|peer| self.ratio(peer, figure));
        self.over_the_suite(format!("{what}, geometric mean, against {peer}"), limit, seen)
    }

    fn best_peer(&self, limit: Limit) -> Bound {
        let against = |peer| Some((self.ratio(peer, Judge::time).ok()?, peer));
        // The best peer is the one beside which ours looks worst.
        let best = self.peers().filter_map(against).max_by(|one, other| one.0.total_cmp(&other.0));
        let name = best.map_or("none", |(_, peer)| &self.results.plan.allocators[peer].name);
        let seen = best.map(|(ratio, _)| ratio).ok_or("no peer has a figure in every row".into());
        let measure = format!("time, geometric mean, against the best single peer ({name})");
        self.over_the_suite(measure, limit, seen)
    }

    fn times_as_fast(&self, peer: &str, limit: Limit) -> Bound {
        let seen = self.place(peer).and_then(|peer| self.ratio(peer, Judge::time));
        let measure = format!("times as fast as {peer}, geometric mean");
        self.over_the_suite(measure, limit, seen.map(|ratio| 1.0 / ratio))
    }

    /// Every row that misses the bound against the best peer there; one line if none does.
    fn each_row(&self, limit: Limit) -> Vec<Bound> {
        let (mut missed, mut judged, mut shown) = (Vec::new(), 0, 0);
        let mut worst = f64::NEG_INFINITY;
        for (name, _, row) in self.rows().filter(|(_, kind, _)| in_the_means(*kind)) {
            let times = self.peers().filter_map(|peer| Some((row.nanoseconds(peer)?, peer)));
            let best = times.min_by(|one, other| one.0.total_cmp(&other.0));
            let (Some(ours), Some((time, peer))) = (row.nanoseconds(0), best) else {
                shown += 1;
                continue;
            };
            if let Some(why) = self.unjudged(row) {
                shown += 1;
                // All short rows are unjudged: nobody wants them listed.
                let missed_if_judged = matches!(limit.judge(ours / time), Verdict::Missed { .. });
                if missed_if_judged && !self.results.plan.quick {
                    let peer = &self.results.plan.allocators[peer].name;
                    let measure = format!("{name}, against the best peer there ({peer})");
                    missed.push(bound(measure, limit, Ok(ours / time), Some(why)));
                }
                continue;
            }
            judged += 1;
            worst = worst.max(ours / time);
            let peer = &self.results.plan.allocators[peer].name;
            let measure = format!("{name}, against the best peer there ({peer})");
            let one = bound(measure, limit, Ok(ours / time), None);
            if one.verdict != Verdict::Met {
                missed.push(one);
            }
        }
        if missed.iter().any(|one| matches!(one.verdict, Verdict::Missed { .. })) {
            return missed;
        }
        let measure = format!("any row against the best peer there ({judged} judged, {shown} not)");
        let seen = if judged > 0 { Ok(worst) } else { Err("no row could be judged".into()) };
        missed.insert(0, self.over_the_suite(measure, limit, seen));
        missed
    }

    fn across_threads(&self, limit: Limit) -> Vec<Bound> {
        let rows =
            self.rows().filter(|(_, kind, _)| matches!(kind, Kind::HandOff(_) | Kind::Churn));
        let judge = |(name, _, row): (&str, Kind, &RowResults)| {
            let seen = self.place(MIMALLOC).and_then(|peer| {
                let figures = row.nanoseconds(0).zip(row.nanoseconds(peer));
                figures.map(|(ours, peers)| ours / peers).ok_or("a figure is missing".into())
            });
            bound(format!("{name}, against {MIMALLOC}"), limit, seen, self.unjudged(row))
        };
        rows.map(judge).collect()
    }

    /// Why a row by itself is not judged, if it is not.
    fn unjudged(&self, row: &RowResults) -> Option<String> {
        if self.results.plan.quick {
            return Some("the rows were cut short".to_owned());
        }
        // Before the spread, of which it may be the cause.
        if let Some((least, greatest)) = row.unequal_ways() {
            return Some(format!(
                "the processors were nearer to each other for some allocators: {least:.0} to \
                 {greatest:.0} ns"
            ));
        }
        match row.a_a_spread() {
            None => Some("too few rounds for an A/A spread".to_owned()),
            Some(spread) if spread > WIDEST_SPREAD => {
                Some(format!("the row's A/A spread is {:.0} %", 100.0 * spread))
            }
            Some(_) => None,
        }
    }

    /// The row of small blocks that takes the span lock most often for its calls.
    fn span_lock(&self, limit: Limit) -> Bound {
        let small = self.rows().filter(|(_, kind, _)| kind.is_small());
        let figures: Option<Vec<_>> =
            small.map(|(name, _, row)| Some((row.calls_between_locks(0)?, name))).collect();
        let fewest =
            figures.and_then(|all| all.into_iter().min_by(|one, other| one.0.total_cmp(&other.0)));
        let row = fewest.map_or(String::new(), |(_, name)| format!(" ({name})"));
        let measure = format!(
            "calls between two takings of the span lock, fewest of the rows of small blocks{row}"
        );
        let why = self.results.plan.quick.then(|| "the rows were cut short".to_owned());
        let seen = fewest.map(|(calls, _)| calls).ok_or("the allocator does not say".into());
        bound(measure, limit, seen, why)
    }

    fn scaling(&self, limit: Limit) -> Bound {
        let row = self.rows().find(|(_, kind, _)| *kind == Kind::Scaling);
        let kept = row.and_then(|(_, _, row)| {
            row.entries
                .first()?
                .median(|sample| sample.gains.map_or(f64::NAN, |gains| gains.kept()))
        });
        let why = self.results.plan.quick.then(|| "the rows were cut short".to_owned());
        let measure = "two threads against one, of what a loop without memory gains".to_owned();
        bound(measure, limit, kept.ok_or("the row was not measured".into()), why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::fixtures::{fail, move_away, results};

    /// The one bound whose measure begins so.
    fn of<'a>(bounds: &'a [Bound], measure: &str) -> &'a Bound {
        let mut found = bounds.iter().filter(|bound| bound.measure.starts_with(measure));
        let one = found.next().unwrap_or_else(|| panic!("no bound on {measure}: {bounds:?}"));
        assert!(found.next().is_none(), "{measure} is ambiguous: {bounds:?}");
        one
    }

    #[test]
    fn the_row_that_locks_most_is_judged() {
        let mut results = results(9.0, &[("mimalloc", 10.0)]);
        let measure = "calls between two takings";
        let samples = |results: &mut Results, locked| {
            for row in &mut results.rows {
                row.entries[0].samples.values_mut().for_each(|sample| sample.locked = locked);
            }
        };
        samples(&mut results, None);
        assert!(matches!(of(&judge(&results), measure).verdict, Verdict::CannotTell { .. }));
        samples(&mut results, Some(1));
        let small: Vec<usize> = (0..results.plan.rows.len())
            .filter(|&row| results.plan.rows[row].kind.is_small())
            .collect();
        for &row in &small {
            for sample in results.rows[row].entries[0].samples.values_mut() {
                (sample.operations, sample.locked) = (10_000, Some(0));
            }
        }
        assert_eq!(of(&judge(&results), measure).seen, Some(10_000.0));
        for sample in results.rows[small[1]].entries[0].samples.values_mut() {
            sample.locked = Some(20);
        }
        let bounds = judge(&results);
        assert_eq!(of(&bounds, measure).seen, Some(500.0));
        assert!((missed(of(&bounds, measure)) - 1.0).abs() < 1e-9);
    }

    fn missed(bound: &Bound) -> f64 {
        match bound.verdict {
            Verdict::Missed { by } => by,
            _ => panic!("{bound:?}"),
        }
    }

    #[test]
    fn an_allocator_that_is_good_enough_meets_every_bound_that_can_be_told() {
        let peers =
            [("mimalloc", 10.0), ("system", 20.0), ("scudo", 30.0), ("hardened_malloc", 90.0)];
        let bounds = judge(&results(9.0, &peers));
        for bound in &bounds {
            let told = !bound.measure.contains("mimalloc-secure")
                && !bound.measure.contains("snmalloc-checks")
                && !bound.measure.starts_with("peak");
            if told {
                assert_eq!(bound.verdict, Verdict::Met, "{bound:?}");
            }
        }
        let seen = of(&bounds, "times as fast as hardened_malloc").seen.unwrap();
        assert!((seen - 10.0).abs() < 1e-9, "{seen}");
        let secure = of(&bounds, "times as fast as mimalloc-secure");
        let why = "mimalloc-secure was not measured".to_owned();
        assert_eq!(secure.verdict, Verdict::CannotTell { why });
    }

    #[test]
    fn a_slow_allocator_misses_by_what_it_is_slower() {
        let bounds = judge(&results(18.0, &[("mimalloc", 10.0), ("snmalloc", 12.0)]));
        let by = missed(of(&bounds, "time, geometric mean, against mimalloc"));
        assert!((by - (1.8 / 0.9 - 1.0)).abs() < 1e-9, "{by}");
        let best = of(&bounds, "time, geometric mean, against the best single peer (mimalloc)");
        assert!((missed(best) - (1.8 / 0.95 - 1.0)).abs() < 1e-9, "{best:?}");
        let row = of(&bounds, "pair/16, against the best peer there (mimalloc)");
        assert!((missed(row) - (1.8 / 1.25 - 1.0)).abs() < 1e-9, "{row:?}");
        assert!((missed(of(&bounds, "churn, against mimalloc")) - 0.8).abs() < 1e-9);
    }

    #[test]
    fn what_was_measured_in_part_or_too_noisily_is_not_judged() {
        let mut partly = results(18.0, &[("mimalloc", 10.0)]);
        partly.plan.whole = false;
        let bounds = judge(&partly);
        let mean = of(&bounds, "time, geometric mean, against mimalloc");
        let why = "only some rows of the suite were measured".to_owned();
        assert_eq!(mean.verdict, Verdict::CannotTell { why });
        assert!(mean.seen.is_some());

        let mut noisy = results(18.0, &[("mimalloc", 10.0)]);
        for row in &mut noisy.rows {
            for (round, sample) in &mut row.twin.samples {
                sample.nanoseconds *= 1.0 + f64::from(*round);
            }
        }
        let bounds = judge(&noisy);
        let row = of(&bounds, "pair/16, against the best peer there");
        assert!(
            matches!(&row.verdict, Verdict::CannotTell { why } if why.contains("A/A")),
            "{row:?}"
        );
    }

    #[test]
    fn a_row_whose_allocators_had_unequal_processors_is_not_judged() {
        let mut results = results(18.0, &[("mimalloc", 10.0), ("snmalloc", 12.0)]);
        assert!(missed(of(&judge(&results), "churn, against mimalloc")) > 0.0);
        move_away(&mut results.rows[2].entries[2], 3.0);
        let bounds = judge(&results);
        let why =
            "the processors were nearer to each other for some allocators: 22 to 64 ns".to_owned();
        let unjudged = Verdict::CannotTell { why };
        assert_eq!(of(&bounds, "churn, against mimalloc").verdict, unjudged);
        assert_eq!(of(&bounds, "churn, against the best peer there").verdict, unjudged);
        assert!(missed(of(&bounds, "handoff/1, against mimalloc")) > 0.0);
    }

    #[test]
    fn a_row_that_failed_leaves_its_means_open() {
        let mut failed = results(9.0, &[("mimalloc", 10.0)]);
        fail(&mut failed, 0, 1);
        let bounds = judge(&failed);
        let mean = of(&bounds, "time, geometric mean, against mimalloc");
        let why = "pair/16 has no figure of mimalloc".to_owned();
        assert_eq!(mean.verdict, Verdict::CannotTell { why });
    }

    #[test]
    fn scaling_is_ours_alone() {
        let bounds = judge(&results(9.0, &[("mimalloc", 10.0)]));
        let scaling = of(&bounds, "two threads against one");
        assert_eq!((scaling.seen, &scaling.verdict), (Some(1.0), &Verdict::Met));
    }
}

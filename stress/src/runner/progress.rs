//! Progress bars on standard error, if that is a terminal.

use std::cell::Cell;
use std::time::Duration;

use drystone_checker::counters::{Count, Counters};
use drystone_harness::output::progress::bar;
use drystone_harness::text::shorten::shortened;
use drystone_harness::text::units;
use drystone_harness::usage::Usage;
use indicatif::ProgressBar;

use crate::model::runs::Plan;
use crate::model::spec::Spec;

/// One bar over a whole campaign, by planned time: it fits 80 columns.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    /// Planned time of the runs before the present one, and of that.
    before: Cell<Duration>,
    present: Cell<Duration>,
    /// Findings of the runs before.
    found: Cell<usize>,
}

/// Columns for what runs now.
const NAMES: usize = 26;

impl Bar {
    /// A bar for `plan`; drawn nowhere if standard error is no terminal.
    pub fn new(plan: &Plan) -> Self {
        let total: Duration = plan.runs.iter().filter_map(|spec| spec.length.time()).sum();
        let bar = bar(Some(millis(total)), "{elapsed:>4} {wide_bar} {eta:>4}  {prefix}  {msg}");
        bar.set_style(bar.style().progress_chars("█▉▊▋▌▍▎▏ "));
        Self { bar, before: Cell::default(), present: Cell::default(), found: Cell::default() }
    }

    /// A run begins.
    pub fn run(&self, spec: &Spec) {
        self.before.set(self.before.get() + self.present.get());
        self.present.set(spec.length.time().unwrap_or_default());
        self.bar.set_prefix(shortened(&format!("{} {}", spec.allocator, spec.workload), NAMES));
    }

    /// A run has found something.
    pub fn found(&self, findings: usize) {
        self.found.set(self.found.get() + findings);
    }

    /// The present run has come so far.
    pub fn tick(&self, counters: &Counters, usage: Usage, elapsed: Duration) {
        let position = self.before.get() + elapsed.min(self.present.get());
        self.bar.set_position(millis(position));
        let rate = counters[Count::Operations] as f64 / elapsed.as_secs_f64().max(1e-3);
        let (rate, memory) = (units::rate(rate), units::bytes(usage.resident));
        self.bar.set_message(format!("{rate}/s {memory} {} found", self.found.get()));
    }

    /// Writes a line above the bar; on standard error, whatever that is.
    pub fn say(&self, line: &str) {
        match self.bar.is_hidden() {
            true => eprintln!("{line}"),
            false => self.bar.println(line),
        }
    }

    /// The campaign is over.
    pub fn done(&self) {
        self.bar.finish_and_clear();
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

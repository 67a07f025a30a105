//! What stderr shows while a comparison runs: on a terminal one line with the time left, elsewhere
//! a sentence for each phase.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// The progress of a comparison.
pub struct Progress {
    bar: Option<ProgressBar>,
    phase: String,
    began: Instant,
    budget: Duration,
}

impl Progress {
    /// Begins; `budget` is the most that measuring will take.
    pub fn new(budget: Duration) -> Self {
        let bar = std::io::stderr().is_terminal().then(bar);
        Self { bar, phase: String::new(), began: Instant::now(), budget }
    }

    /// A phase begins.
    pub fn phase(&mut self, phase: &str) {
        self.phase = phase.to_owned();
        match &self.bar {
            Some(_) => self.detail(""),
            None => eprintln!("{phase}"),
        }
    }

    /// How far the phase is; shown on a terminal only.
    pub fn detail(&self, detail: &str) {
        let Some(bar) = &self.bar else { return };
        let left = self.budget.saturating_sub(self.began.elapsed()).as_secs();
        let separator = if detail.is_empty() { "" } else { ": " };
        let left = format!("{}:{:02} left at most", left / 60, left % 60);
        bar.set_message(format!("{}{separator}{detail} ({left})", self.phase));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {elapsed_precise} {wide_msg}");
    let style = style.expect("the template is a constant that the tests draw");
    let bar = ProgressBar::new_spinner().with_style(style);
    // Rarely: drawing takes time from the very machine that is being measured.
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_bars_template_is_valid() {
        super::bar().finish_and_clear();
    }
}

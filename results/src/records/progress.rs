//! What stderr shows while the benchmarks run: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Progress over the processes of one measurement.
pub struct Progress {
    bar: Option<ProgressBar>,
    total: usize,
    done: usize,
    since: Instant,
}

impl Progress {
    /// Starts at none of `total` processes.
    pub fn new(total: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| bar(total));
        Self { bar, total, done: 0, since: Instant::now() }
    }

    /// A process of the side called `side` starts.
    pub fn started(&mut self, side: &str) {
        self.since = Instant::now();
        if let Some(bar) = &self.bar {
            bar.set_message(format!("measuring {side}"));
        }
    }

    /// The process that was started last measured `benchmarks` benchmarks.
    pub fn finished(&mut self, side: &str, benchmarks: usize) {
        self.done += 1;
        match &self.bar {
            Some(bar) => bar.set_position(self.done as u64),
            None => eprintln!(
                "process {} of {} ({side}): {benchmarks} benchmarks in {:.0} s",
                self.done,
                self.total,
                self.since.elapsed().as_secs_f64(),
            ),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: usize) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{elapsed_precise} [{bar:30}] {pos}/{len} processes, {msg} (eta {eta_precise})",
    )
    .expect("the template is a constant that the tests draw")
    .progress_chars("=> ");
    let bar = ProgressBar::new(total as u64).with_style(style);
    // Rarely: drawing takes time from the very machine that is being measured.
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_bars_template_is_valid() {
        super::bar(10).finish_and_clear();
    }
}

//! Progress bars on standard error, if that is a terminal: one look in all tools.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often what has no end in sight is drawn anew, so that it is seen to live.
const TICK: Duration = Duration::from_millis(100);

/// A bar over so many steps, with the time elapsed and the time that remains.
pub fn steps(count: u64) -> ProgressBar {
    let bar = bar(Some(count), "{elapsed} {wide_bar} {pos}/{len} {eta} {msg}");
    bar.enable_steady_tick(TICK);
    bar
}

/// For what nobody knows the end of: the time elapsed, and what is being done.
pub fn open() -> ProgressBar {
    let bar = bar(None, "{spinner} {elapsed} {prefix}{msg}");
    bar.enable_steady_tick(TICK);
    bar
}

/// A bar that looks as the template says. Drawn nowhere if standard error is no terminal.
pub fn bar(steps: Option<u64>, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the template is a constant");
    // The target itself sees whether it is a terminal.
    ProgressBar::with_draw_target(steps, ProgressDrawTarget::stderr()).with_style(style)
}

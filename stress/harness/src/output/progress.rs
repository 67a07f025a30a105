//! Progress bars on standard error, if that is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar that looks as the template says. Drawn nowhere if standard error is no terminal.
pub fn bar(steps: Option<u64>, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the template is a constant");
    // The target itself sees whether it is a terminal.
    ProgressBar::with_draw_target(steps, ProgressDrawTarget::stderr()).with_style(style)
}

//! One page that holds all it needs: no network, and readable without script.
//!
//! `plot` draws, `rows` tells of times, `beside` of all else; `frame` is around every page.

mod beside;
pub mod frame;
pub mod looks;
mod plot;
mod rows;

use maud::{Markup, html};

use self::frame::page;
use super::beside::{also, lines};
use super::command::repeat;
use super::sentence::sentence;
use crate::decide::Judged;
use crate::evidence::{Ended, Side};

/// The page. `evidence` is the path of the file it tells of.
pub fn html(judged: &Judged, evidence: &str) -> String {
    let said = sentence(judged);
    let header = &judged.header;
    let content = html! {
        h1 class=(weight(judged)) { (said) }
        p class="quiet" {
            "Begun " (header.started) ". A is " (side(&header.a)) "; B is "
            (side(&header.b)) "."
        }
        @if judged.why() != Some(Ended::Identical) {
            (rows::forest(judged))
            (rows::all(judged))
            (beside::all(judged))
            h2 { "In short" }
            ul { @for line in lines(judged) { li { (line) } } }
        } @else {
            @for line in also(judged) { p { (line) } }
        }
        (how(judged, evidence))
    };
    page(&said, &content)
}

/// The colour of it all.
fn weight(judged: &Judged) -> &'static str {
    let bad = !judged.regressions().is_empty() || !judged.new_findings().is_empty();
    let open = !judged.tables.null_failures().is_empty() || !judged.tables.undecided().is_empty();
    match (bad, open) {
        _ if judged.why() == Some(Ended::Identical) => "fine",
        (true, _) => "worse",
        (_, true) => "open",
        _ => "fine",
    }
}

fn side(side: &Side) -> String {
    let commit =
        side.commit.as_deref().map(|hash| format!(", commit {}", &hash[..hash.len().min(12)]));
    let dirty = if side.dirty { " with edits" } else { "" };
    format!("{}{}{dirty}", side.name, commit.unwrap_or_default())
}

fn how(judged: &Judged, evidence: &str) -> Markup {
    let machine = &judged.header.machine;
    html! {
        h2 { "Where, and how to repeat it" }
        p {
            (machine.cpu) ", " (machine.cores) " processors, " (machine.arch) ", kernel "
            (machine.kernel) "; harness " (judged.header.harness)
            @if !judged.header.toolchain.is_empty() { "; " (judged.header.toolchain) }
        }
        pre { (repeat(&judged.header)) "\n" "cargo results show --html page.html " (evidence) }
        p class="quiet" {
            "Each process links both sides anew in a random order of functions and gives one value "
            "a row. Intervals are valid whenever one looks; they hold together, all rows at all "
            "times, with a probability of "
            (format!("{:.0} %", (1.0 - judged.header.settings.error) * 100.0)) "."
        }
    }
}

#[cfg(test)]
mod tests;

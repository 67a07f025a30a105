//! A campaign of the stress tool: what ran, what was found, how memory went.

use maud::{Markup, html};

use super::plot;
use crate::report::{count, kib};
use crate::site::input::{Run, Stress};
use crate::site::page::{Page, back, document, table};

/// The page.
pub fn page(stress: &Stress, file: String, name: &str) -> Page {
    let findings: usize = stress.runs.iter().map(|run| run.findings.len()).sum();
    let found = match findings {
        0 => "no finding".to_owned(),
        some => count(some, "finding"),
    };
    let title = format!("Stress: {name}");
    let about = format!("{} of seed {}: {found}", count(stress.runs.len(), "run"), stress.seed);
    let rows: Vec<Vec<(String, Option<f64>)>> = stress.runs.iter().map(row).collect();
    let columns = ["allocator", "workload", "threads", "time", "operations", "findings"];
    let content = html! {
        (back())
        h1 class=(if findings == 0 { "fine" } else { "worse" }) { (title) ": " (found) }
        p class="quiet" {
            (about) "." @if !stress.done { " It did not come to its end." }
        }
        (table(&columns, &rows))
        @if findings > 0 {
            h2 { "Findings" }
            ul class="worse" {
                @for run in &stress.runs {
                    @for finding in &run.findings {
                        li { (run.allocator) ", " (run.workload) ": " (finding) }
                    }
                }
            }
        }
        h2 { "Memory" }
        p class="quiet" { "Resident over time (line), and live in blocks (dashed)." }
        div class="plots" {
            @for run in stress.runs.iter().filter(|run| run.memory.len() > 1) { (memory(run)) }
        }
    };
    Page { file, about, text: document(&title, &content), title }
}

fn row(run: &Run) -> Vec<(String, Option<f64>)> {
    let seconds = run.seconds.map_or("not ended".to_owned(), |seconds| format!("{seconds:.0} s"));
    vec![
        (run.allocator.clone(), None),
        (run.workload.clone(), None),
        (run.threads.to_string(), Some(run.threads as f64)),
        (seconds, run.seconds),
        (run.operations.to_string(), Some(run.operations as f64)),
        (run.findings.len().to_string(), Some(run.findings.len() as f64)),
    ]
}

fn memory(run: &Run) -> Markup {
    let last = run.memory.last().map_or(1.0, |[seconds, ..]| *seconds);
    let most =
        run.memory.iter().flat_map(|[_, live, resident]| [*live, *resident]).fold(1.0, f64::max);
    let of = |place: usize| -> Vec<[f64; 2]> {
        run.memory.iter().map(|sample| [sample[0], sample[place]]).collect()
    };
    html! {
        figure data-allocator=(run.allocator) {
            figcaption { b { (run.workload) } " " (run.allocator) }
            div class="axis" { span { (kib(most / 1024.0)) } }
            svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img"
                aria-label=(format!("memory of {} in {}", run.allocator, run.workload)) {
                g class="hue0" { (plot::course(&of(2), last, most)) }
                g class="hue1 dashed" { (plot::course(&of(1), last, most)) }
            }
            div class="axis" { span { "0" } span { (format!("{last:.0} s")) } }
        }
    }
}

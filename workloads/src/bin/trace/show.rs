//! Printing of a trace's figures.

use drystone_workloads::cli::printing::{Format, Printing};
use drystone_workloads::trace::{Summary, Trace};
use serde_json::json;

use crate::print::{grouped, table};

/// The version of what `--format json` prints.
const JSON_VERSION: u32 = 1;

/// The trace's figures as they are asked for, ending in a newline.
pub fn render(trace: &Trace, summary: &Summary, printing: Printing) -> String {
    match printing.format {
        Format::Json => {
            serde_json::to_string_pretty(&as_json(trace, summary)).expect("no map keys but strings")
                + "\n"
        }
        Format::Markdown | Format::Table => tables(trace, summary, printing),
    }
}

fn as_json(trace: &Trace, summary: &Summary) -> serde_json::Value {
    let kinds: serde_json::Map<_, _> =
        summary.kinds.iter().map(|&(name, count)| (name.to_owned(), json!(count))).collect();
    let size = |class: &drystone_workloads::trace::SizeClass| {
        let (least, most) = (class.least, class.most);
        json!({ "least": least, "most": most, "requests": class.requests })
    };
    let gaps = trace.gaps();
    json!({
        "version": JSON_VERSION,
        "command": trace.command(),
        "operations": trace.ops().len(),
        "kinds": kinds,
        "threads": trace.threads(),
        "blocks": trace.blocks(),
        "peak_live_bytes": trace.peak_live_bytes(),
        "left_blocks": trace.left_blocks(),
        "left_bytes": trace.left_bytes(),
        "handed_over": summary.handed_over,
        "short_lived": summary.short_lived,
        "foreign_frees": gaps.foreign_frees,
        "missed_frees": gaps.missed_frees,
        "holes": gaps.holes,
        "stopped": gaps.stopped,
        "sizes": summary.sizes.iter().map(size).collect::<Vec<_>>(),
    })
}

fn tables(trace: &Trace, summary: &Summary, printing: Printing) -> String {
    let figures = figures(trace, summary).into_iter().map(|(name, value)| [name, value]);
    let figures = table(printing, ["figure", "value"], 1, figures);
    let kinds = summary.kinds.iter().map(|&(name, count)| [name.to_owned(), grouped(count)]);
    let kinds = table(printing, ["operation", "count"], 1, kinds);
    let sizes = summary.sizes.iter().map(|class| {
        let range = match class.least == class.most {
            true => grouped(class.least),
            false => format!("{} to {}", grouped(class.least), grouped(class.most)),
        };
        [range, grouped(class.requests)]
    });
    let sizes = table(printing, ["bytes asked for", "requests"], 1, sizes);
    format!("command: {}\n\n{figures}\n\n{kinds}\n\n{sizes}\n", trace.command())
}

fn figures(trace: &Trace, summary: &Summary) -> Vec<(String, String)> {
    let gaps = trace.gaps();
    let rows: [(&str, u64); 10] = [
        ("operations", trace.ops().len() as u64),
        ("threads", trace.threads().into()),
        ("blocks", trace.blocks().into()),
        ("peak live bytes", trace.peak_live_bytes()),
        ("blocks never freed", trace.left_blocks().into()),
        ("bytes never freed", trace.left_bytes()),
        ("blocks ended by another thread", summary.handed_over),
        ("blocks ended within 8 births", summary.short_lived),
        ("frees of blocks older than the recording", gaps.foreign_frees),
        ("frees that were not seen", gaps.missed_frees),
    ];
    rows.map(|(name, value)| (name.to_owned(), grouped(value))).to_vec()
}

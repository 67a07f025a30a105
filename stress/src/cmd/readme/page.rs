//! The comparison as a table, and as a picture that can be read on light and on dark paper.

use std::fmt::Write;

use crate::cmd::readme::line::Line;

/// Lines of Markdown, fastest first.
pub(super) fn table(lines: &[Line]) -> String {
    let mut text = "| allocator | time | peak memory | reports a double free |\n\
                    |---|---:|---:|---|\n"
        .to_owned();
    for line in lines {
        let name = if line.ours { format!("**{}**", line.name) } else { line.name.clone() };
        let (time, peak) = (times(line.time), times(line.peak));
        writeln!(text, "| {name} | {time} | {peak} | {} |", line.reports.name()).expect("a string");
    }
    text
}

/// A ratio; the one that all ratios are to has no digits.
fn times(ratio: f64) -> String {
    if (ratio - 1.0).abs() < 1e-9 { "1×".to_owned() } else { format!("{ratio:.2}×") }
}

/// Height of an allocator's two bars with the space below them.
const STEP: usize = 44;
/// Where the bars begin, and how long the longest is.
const LEFT: usize = 150;
const LONGEST: f64 = 380.0;

/// Two bars for each allocator: time and peak memory.
pub(super) fn picture(lines: &[Line]) -> String {
    let largest = lines.iter().flat_map(|line| [line.time, line.peak]).fold(1.0, f64::max);
    let height = STEP * lines.len() + 40;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 600 {height}\" width=\"600\" \
         height=\"{height}\" role=\"img\">\n\
         <title>Time and peak memory of allocators beside mimalloc</title>\n\
         <style>\n\
         text {{ font: 13px sans-serif; fill: #57606a; }}\n\
         .ours {{ font-weight: bold; }}\n\
         .time {{ fill: #2f81f7; }}\n\
         .peak {{ fill: #8b949e; }}\n\
         @media (prefers-color-scheme: dark) {{ text {{ fill: #c9d1d9; }} }}\n\
         </style>\n\
         <rect class=\"time\" x=\"{LEFT}\" y=\"8\" width=\"12\" height=\"12\"/>\n\
         <text x=\"168\" y=\"19\">time</text>\n\
         <rect class=\"peak\" x=\"230\" y=\"8\" width=\"12\" height=\"12\"/>\n\
         <text x=\"248\" y=\"19\">peak memory; shorter is better</text>\n"
    );
    for (place, line) in lines.iter().enumerate() {
        let top = 34 + place * STEP;
        let class = if line.ours { " class=\"ours\"" } else { "" };
        let (name, middle) = (escaped(&line.name), top + 20);
        writeln!(text, "<text{class} x=\"8\" y=\"{middle}\">{name}</text>").expect("a string");
        for (class, ratio, top) in [("time", line.time, top), ("peak", line.peak, top + 16)] {
            let width = (ratio / largest * LONGEST).max(1.0).round();
            let (beside, below) = (LEFT as f64 + width + 6.0, top + 12);
            write!(
                text,
                "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{top}\" width=\"{width}\" \
                 height=\"14\"/>\n<text x=\"{beside}\" y=\"{below}\">{}</text>\n",
                times(ratio)
            )
            .expect("a string");
        }
    }
    text + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::readme::line::Reports;

    fn lines() -> Vec<Line> {
        let line = |name: &str, ours, time, peak, reports| {
            let name = name.to_owned();
            Line { name, ours, time, peak, reports }
        };
        vec![
            line("drystone", true, 0.541, 0.36, Reports::Always),
            line("a < b", false, 1.0, 1.0, Reports::Never),
        ]
    }

    #[test]
    fn a_line_each_and_ours_is_bold() {
        let expected = "| allocator | time | peak memory | reports a double free |\n\
                        |---|---:|---:|---|\n\
                        | **drystone** | 0.54× | 0.36× | always |\n\
                        | a < b | 1× | 1× | never |\n";
        assert_eq!(table(&lines()), expected);
    }

    #[test]
    fn the_longest_bar_is_the_largest_ratio_and_names_are_escaped() {
        let picture = picture(&lines());
        assert_eq!(picture.matches("width=\"380\"").count(), 2, "{picture}");
        assert!(picture.contains(">a &lt; b<") && picture.contains(">0.54×<"), "{picture}");
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    }
}

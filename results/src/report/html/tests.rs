//! What the page holds. How it looks, a test of the program sees in a browser.

use super::html;
use crate::decide::Judged;
use crate::evidence::fixtures::{header, process};
use crate::evidence::{Evidence, Line};

fn judged() -> Judged {
    let header = header(&["pair/64", "ring/256"]);
    let lines = (1..=20)
        .map(|number| Line::Process(process(number, &[("pair/64", 0.0), ("ring/256", 0.06)])))
        .collect();
    Judged::of(Evidence { header, lines })
}

#[test]
fn the_page_needs_no_network_and_no_script() {
    let page = html(&judged(), "evidence.jsonl");
    for outside in ["<script", "http://", "https://", "url(", "@import", "<img", "<link"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("REGRESSED against main: ring/256"), "{page}");
    // A forest row each, and three plots each; the row that is fine is folded.
    assert_eq!(page.matches("<svg").count(), 2 + 2 * 3);
    assert_eq!(page.matches("<details open").count(), 1);
    assert!(page.contains("--seed 7 --floor 1 --margin 3 --budget 300s"), "{page}");
}

#[test]
fn names_are_text_whatever_they_hold() {
    let mut named = judged();
    named.header.b.name = "<script>alert(1)</script>".to_owned();
    assert!(!html(&named, "e").contains("<script"));
}

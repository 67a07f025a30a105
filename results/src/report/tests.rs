//! What a judged comparison looks like, in all three formats.

use super::{json, markdown, table};
use crate::decide::{FailOn, Judged};
use crate::evidence::fixtures::{header, process};
use crate::evidence::{Also, Correctness, End, Ended, Evidence, Line, Memory, MemoryRow};

/// So many processes, with one row of each verdict, and memory that grows.
fn judged(processes: u32) -> Judged {
    let header = header(&["pair/64", "ring/256", "bulk/4096", "churn"]);
    let mut lines: Vec<Line> = (0..16).map(memory).collect();
    for number in 1..=processes {
        let wild = if number.is_multiple_of(2) { 0.3 } else { -0.3 };
        let rows = [("pair/64", 0.0), ("ring/256", 0.06), ("bulk/4096", -0.05), ("churn", wild)];
        lines.push(Line::Process(process(number, &rows)));
    }
    lines.push(Line::End(End { why: Ended::Budget, at_s: 300.0, failed: 0 }));
    Judged::of(Evidence { header, lines })
}

fn memory(number: u32) -> Line {
    let side = if number.is_multiple_of(2) { 'a' } else { 'b' };
    let peak_kib = if side == 'a' { 10_000 } else { 10_600 } + u64::from(number);
    let row = MemoryRow { peak_kib, drained_kib: 500, faults: 2_500 };
    Line::Memory(Memory { side, number, rows: [("bulk/4096".to_owned(), row)].into() })
}

#[test]
fn the_sentence_comes_first_then_what_is_worse_then_what_is_open() {
    let text = table(&judged(40), false, false);
    assert!(
        text.starts_with(". REGRESSED against main: ring/256, bulk/4096 (peak memory)."),
        "{text}"
    );
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what} in {text}"));
    let order = ["\nREGRESSED\n", "\nINCONCLUSIVE\n", "\nIMPROVED\n", "\nOK, within"].map(at);
    assert!(order.is_sorted(), "{text}");
    assert!(text.contains("judged 3 of 4 rows"), "{text}");
    assert!(text.contains("OK, within ±3.0 %: pair/64"), "folded: {text}");
    assert!(table(&judged(40), false, true).contains("\nOK\n row"), "unfolded");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn colours_are_there_only_if_asked_for() {
    assert!(!table(&judged(40), false, true).contains('\x1b'));
    assert!(table(&judged(40), true, true).starts_with("\x1b[1;31m"));
}

#[test]
fn markdown_folds_what_is_fine_and_escapes_names() {
    let text = markdown(&judged(40));
    assert!(text.starts_with("**. REGRESSED against main"), "{text}");
    let fold = text.find("<details>").unwrap();
    assert!(
        text[..fold].contains("| ring/256 |") && text[fold..].contains("| pair/64 |"),
        "{text}"
    );
    let mut named = judged(40);
    named.header.b.name = "a|b<i>".to_owned();
    assert!(markdown(&named).contains("a\\|b\\<i\\>"));
}

#[test]
fn json_says_what_the_table_says() {
    let judged = judged(40);
    let text = json(&judged, FailOn::Any, "e.jsonl");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&value["format"], &value["version"]), (&"drystone-comparison".into(), &2.into()));
    assert_eq!((&value["exit_code"], &value["judged"]), (&1.into(), &3.into()));
    assert_eq!(value["rows"][1]["verdict"], "REGRESSED");
    assert_eq!(value["verdicts"]["OK"], 1);
    assert_eq!(value["rows"][1]["processes"], judged.tables.rows[1].judge.values().len());
    assert!(value["rows"][1]["low_percent"].as_f64().unwrap() > 1.0);
    assert_eq!(value["memory"][2]["verdict"], "REGRESSED");
}

#[test]
fn exit_codes_in_order_of_weight() {
    let code = |judged: &Judged| judged.exit_code(FailOn::Any);
    let worse = judged(40);
    assert_eq!(code(&worse), 1);
    assert_eq!(worse.exit_code(FailOn::Never), 0);
    // Too few processes for any verdict of time; memory aside.
    let mut open = judged(3);
    open.memory.clear();
    assert_eq!((code(&open), open.exit_code(FailOn::Regressed)), (3, 0));
    let said = |findings: &[&str], side| Correctness {
        side,
        seconds: 20.0,
        code: u8::from(!findings.is_empty()),
        findings: findings.iter().map(|&finding| finding.to_owned()).collect(),
        skipped: None,
    };
    open.correctness.insert('b', said(&["overlap"], 'b'));
    assert_eq!(code(&open), 1, "a finding in B");
    open.correctness.insert('a', said(&["overlap"], 'a'));
    assert_eq!(code(&open), 3, "a finding that A has too says nothing");
}

/// The sides themselves are identical, one library besides differs, another does not build.
#[test]
fn libraries_besides_are_told_of_and_are_in_no_mean() {
    let besides = |name: &str, left_out: Option<&str>| Also {
        name: name.to_owned(),
        left_out: left_out.map(str::to_owned),
        artifacts: None,
        fresh_layouts: true,
    };
    let mut all = judged(40);
    let mean = all.geometric_mean();
    all.header.also = vec![besides("ring", None), besides("x", Some("it does not build on A"))];
    let (own, mean) = (all.geometric_mean().unwrap(), mean.unwrap());
    assert!(own < mean, "the slow ring is no row of the sides themselves now");
    all.header.identical = true;
    for text in [table(&all, false, false), markdown(&all)] {
        assert!(text.contains("x: its rows are left out: it does not build on A"), "{text}");
        assert!(text.contains("main and . are identical: the rows are of other"), "{text}");
    }
    all.header.identical = false;
    all.end = Some(End { why: Ended::Identical, at_s: 0.0, failed: 0 });
    for text in [table(&all, false, false), markdown(&all)] {
        assert!(text.contains("Nothing to measure"), "{text}");
        assert!(text.contains("x: its rows are left out"), "{text}");
    }
}

//! The page of `results show --html`, in a real browser: at the widths of a phone, a tablet and a
//! desk, with all rows unfolded, nothing is wider than the window. Where there is no chromium the
//! test is passed over, except in CI.

use std::fmt::Write as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::browser::{WIDTHS, harness, told};

/// A comparison with a row of each verdict, a null, slow calls, memory, instructions, findings, and
/// names as long as names may be.
pub fn evidence() -> String {
    let mut text = format!("{}\n", header());
    for side in ["a", "b"] {
        let rows = json!({"pair/64": 52.25, "ring/256": if side == "a" { 91.5 } else { 93.0 }});
        line(&mut text, json!({"kind": "instructions", "side": side, "rows": rows}));
    }
    let finding = format!("overlap in mixed: two owners; again: cargo stress replay {}", LONG);
    line(
        &mut text,
        json!({"kind": "correctness", "side": "b", "seconds": 20.0, "code": 0,
            "findings": [finding], "skipped": null}),
    );
    for number in 0..10u32 {
        let (side, more) = if number % 2 == 0 { ("a", 0) } else { ("b", 900) };
        let row = json!({"peak_kib": 10_000 + more + number, "drained_kib": 500, "faults": 2500});
        let rows = json!({"ring/16384": row});
        line(&mut text, json!({"kind": "memory", "side": side, "number": number, "rows": rows}));
    }
    for number in 1..=40u32 {
        line(&mut text, process(number));
    }
    line(&mut text, json!({"kind": "end", "why": "budget", "at_s": 300.5, "failed": 1}));
    text
}

const LONG: &str = "feature/a-branch-whose-name-is-longer-than-any-phone-is-wide-and-has-no-space";
const ROWS: [&str; 5] =
    ["pair/64", "ring/256", "bulk/4096", "churn", "trace/a-program-with-a-long-name"];

fn header() -> Value {
    let side = |name: &str, hash: &str| {
        json!({"name": name, "made": "commit", "commit": hash.repeat(40), "dirty": false,
            "inputs": hash.repeat(64), "artifact": hash.repeat(64), "fresh_layouts": true})
    };
    let row = |name: &&str| {
        json!({"name": name, "operation": "free of the oldest of 256 blocks of mixed sizes, malloc",
            "pairs": 20, "slice_us": 250.0})
    };
    json!({"format": "drystone-evidence", "version": 1, "started": "2026-11-29T20:00:00Z",
        "seed": u64::MAX, "harness": "0123456789abcdef", "toolchain": "rustc 1.95.0",
        "machine": {"name": "cpu-2c-00000000", "cpu": "A Processor(R) With A Long Name @ 2.00GHz",
            "cores": 2, "arch": "x86_64", "kernel": "6.1.0-with-a-long-suffix-amd64"},
        "a": side("main", "a"), "b": side(LONG, "b"),
        "settings": {"floor": 0.01, "margin": 0.03, "error": 0.02, "budget_s": 300.0,
            "null_every": 8, "lanes": ["correctness", "instructions", "memory", "time"],
            "rows": ROWS.iter().map(row).collect::<Vec<_>>(), "memory_floor": 0.02,
            "tail_floor": [10.0, 5.0], "instructions_gate": null}})
}

fn process(number: u32) -> Value {
    // Noise without a generator: the fractional parts of multiples of the golden ratio.
    let noise = |scale: f64, at: usize| {
        ((f64::from(number) * 0.618_034 + 0.31 * at as f64).fract() - 0.5) * scale
    };
    let is_null = number.is_multiple_of(8);
    let values = [0.0, 0.06, -0.09, 0.0, 0.0].map(|value| if is_null { 0.0 } else { value });
    let spreads = [0.02, 0.05, 0.04, 0.9, 0.03];
    let row = |at: usize| {
        let value = values[at] + noise(spreads[at], at);
        let tail = |slow: u64| {
            json!({"calls": 100_000, "over_1us": slow, "over_10us": 0,
                "slowest_ns": 6_100})
        };
        let tails = if at == 1 { json!({"a": tail(2), "b": tail(9)}) } else { Value::Null };
        json!({"name": ROWS[at], "value": value, "wall": value, "ns": [20.0, 20.0 * value.exp()],
            "pairs": 18, "dropped": 2, "switches": 3, "tails": tails})
    };
    let rows: Vec<Value> = (0..ROWS.len()).map(row).collect();
    json!({"kind": "process", "number": number, "null": is_null, "at_s": f64::from(number) * 1.5,
        "seed": 1, "layouts": [1_234_567_890, 2_034_567_890], "cpu_s": 0.3, "load": 14.25,
        "steal": 0.01, "rows": rows})
}

fn line(text: &mut String, value: Value) {
    writeln!(text, "{value}").unwrap();
}

#[test]
fn the_page_fits_a_phone_a_tablet_and_a_desk() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("evidence.jsonl"), evidence()).unwrap();
    let shown = Command::new(env!("CARGO_BIN_EXE_drystone-results"))
        .args(["show", "evidence.jsonl", "--html", "page.html"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&shown.stderr);
    assert_eq!(shown.status.code(), Some(1), "{said}");
    let page = std::fs::read_to_string(path("page.html")).unwrap();
    if let Some(kept) = std::env::var_os("RESULTS_KEEP_PAGE") {
        std::fs::copy(path("page.html"), kept).unwrap();
    }
    let Some(told) = told(folder.path(), &harness(&page)) else { return };
    let expected: Vec<String> = WIDTHS.iter().map(|width| format!("{width}: 0 20 ")).collect();
    assert_eq!(told, expected.join(" | "), "width of the frame, pixels too many, plots, culprits");
}

/// A page that can't be written is rejected before anything is read or measured.
#[test]
fn a_page_that_cannot_be_written_is_rejected_first() {
    let folder = tempfile::tempdir().unwrap();
    for page in ["nowhere/page.html", "."] {
        let output = Command::new(env!("CARGO_BIN_EXE_drystone-results"))
            .args(["show", "no-such-file", "--html", page])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("--html {page}")), "{said}");
    }
}

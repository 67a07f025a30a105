//! The pages of `results site`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::{WIDTHS, harness, told};
use crate::comparison::evidence;

const ALLOCATORS: [&str; 7] =
    ["drystone", "mimalloc", "an-allocator-with-a-long-name", "d", "e", "f", "g"];
const ROWS: [(&str, u32); 3] = [("pair/64", 1), ("ring/65536", 1), ("threads/2", 2)];

/// A report of the suite: the allocators are slower in their order, and leaner.
fn bench() -> Value {
    let cell = |row: usize, place: usize| {
        let time = (10.0 + place as f64) * 10f64.powi(row as i32);
        let samples: Vec<Value> = (0..7)
            .map(|round| json!({"nanoseconds": time * (0.97 + 0.01 * round as f64)}))
            .collect();
        let latency = json!({"malloc": {"calls": 100_000, "p50": 20, "p99": 50 + place,
            "p99_9": 400 - place, "p99_99": if row == 0 { Value::Null } else { json!(9_000) },
            "max": 1_000_000}});
        json!({"allocator": ALLOCATORS[place], "nanoseconds": time, "samples": samples,
            "peak_above_floor": 9_000.0 - 1_000.0 * place as f64, "faults": 12.0,
            "latency": latency, "fragmentation": 1.25})
    };
    let rows: Vec<Value> = ROWS
        .iter()
        .enumerate()
        .map(|(row, (name, threads))| {
            let cells: Vec<Value> = (0..ALLOCATORS.len()).map(|place| cell(row, place)).collect();
            json!({"name": name, "threads": threads, "allocators": cells})
        })
        .collect();
    let allocators: Vec<Value> =
        ALLOCATORS.iter().map(|name| json!({"name": name, "version": "1.2"})).collect();
    // A row of another kind, in which all is the other way round: it counts in no mean.
    let apart: Vec<Value> =
        (0..ALLOCATORS.len()).map(|place| cell(3, ALLOCATORS.len() - 1 - place)).collect();
    let apart = json!({"name": "scaling", "threads": 2, "in_the_means": false,
        "allocators": apart});
    let rows = [rows, vec![apart]].concat();
    json!({"format": "drystone-bench-report", "version": 2, "smallest_peak": 64.0,
        "rounds": 7, "quick": false, "interrupted": false, "allocators": allocators,
        "against": "mimalloc", "rows": rows})
}

/// What the first reports always, the second never.
fn conform() -> Value {
    let score = |end: &str| json!({"score": {"end": end}});
    let mistake =
        |name: &str, ends: [&str; 2]| json!({"mistake": name, "allocators": ends.map(score)});
    json!({"format": "drystone-conform-report", "version": 1,
    "allocators": [{"name": "drystone"}, {"name": "mimalloc"}],
    "mistakes": [
        mistake("double-free-immediate", ["reported", "silent"]),
        mistake("realloc-after-free", ["reported", "not-made"]),
        mistake("invalid-free-stack", ["silent", "reported"]),
    ]})
}

fn record() -> String {
    let lines = [
        json!({"line": "begin", "format": "drystone-stress-record", "version": 1, "seed": "0x7",
            "runs": [{"allocator": "drystone", "workload": "mixed", "threads": 4}]}),
        json!({"line": "sample", "run": 0, "sample": {"seconds": 1.0, "operations": 10,
            "live_bytes": 1_000, "resident_bytes": 2_000}}),
        json!({"line": "sample", "run": 0, "sample": {"seconds": 2.0, "operations": 20,
            "live_bytes": 3_000, "resident_bytes": 4_000}}),
        json!({"line": "end", "run": 0, "outcome": {"elapsed": {"secs": 3, "nanos": 0},
            "finding": {"kind": "overlap", "expected": "one owner", "seen": "<b>two</b>"}}}),
        json!({"line": "done", "interrupted": false, "seconds": 3.0}),
    ];
    // Its last line was cut off when the machine went down.
    lines.map(|line| format!("{line}\n")).concat() + "{\"line\": \"sam"
}

const TEXT: &str = "# The zoo

<!-- written by a command -->

| fault | found |
|---|---|
| one | yes |

<script>alert(1)</script>
";

/// A folder with every kind of file.
fn files() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    write("bench.json", format!("{:#}\n", bench()));
    write("conform.json", conform().to_string());
    write("one.jsonl", evidence());
    write("two.jsonl", evidence());
    write("record.jsonl", record());
    write("zoo.md", TEXT.to_owned());
    folder
}

fn site(folder: &Path, files: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_drystone-results"))
        .args([&["site", "pages"], files].concat())
        .current_dir(folder)
        .output()
        .unwrap()
}

fn failed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const ALL: [&str; 6] =
    ["bench.json", "conform.json", "one.jsonl", "two.jsonl", "record.jsonl", "zoo.md"];

/// How many plots each page must have; the comparison's are counted by its own test.
const PAGES: [(&str, usize); 4] = [
    ("index.html", 0),
    // Two lines an allocator in each row, and a curve a row.
    ("bench.html", 2 * 7 * 4 + 4),
    ("record.html", 1),
    ("zoo.html", 0),
];

#[test]
fn every_page_fits_a_phone_a_tablet_and_a_desk() {
    let folder = files();
    let output = site(folder.path(), &ALL);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for (file, plots) in PAGES {
        let page = fs::read_to_string(folder.path().join("pages").join(file)).unwrap();
        assert!(!page.contains("http://") && !page.contains("https://"), "{file} asks a network");
        let Some(told) = told(folder.path(), &harness(&page)) else { return };
        let expected: Vec<String> =
            WIDTHS.iter().map(|width| format!("{width}: 0 {plots} ")).collect();
        assert_eq!(told, expected.join(" | "), "{file}: pixels too many, plots, culprits");
    }
}

/// Runs `script` in the page, which leaves its answer in `said`.
fn asked(folder: &Path, file: &str, script: &str) -> Option<String> {
    let page = fs::read_to_string(folder.join("pages").join(file)).unwrap();
    let more = format!(
        "<pre id=told></pre><script>let said; {script}; \
         document.getElementById('told').textContent = said + ' END';</script>"
    );
    told(folder, &page.replace("</body>", &format!("{more}</body>")))
}

#[test]
fn a_click_sorts_and_a_box_filters() {
    let folder = files();
    assert!(site(folder.path(), &ALL).status.success());
    let order = "const names = () => [...document.querySelectorAll('table.sorts tbody tr')]
        .map(row => row.cells[0].textContent).join(' ');
        const head = name => [...document.querySelectorAll('table.sorts th button')]
        .find(one => one.textContent === name);";
    let script = format!(
        "{order} head('peak memory').click(); said = names(); head('peak memory').click();
         said += ' | ' + names()"
    );
    let Some(said) = asked(folder.path(), "index.html", &script) else { return };
    let up: Vec<&str> = ALLOCATORS.iter().rev().copied().collect();
    assert_eq!(said, format!("{} | {}", up.join(" "), ALLOCATORS.join(" ")));

    let script = "const box = document.querySelector('form.filter input[value=mimalloc]');
        const seen = what => [...document.querySelectorAll(what)]
          .filter(one => one.getClientRects().length > 0).length;
        const lines = seen('.line'); box.click();
        const search = document.querySelector('input[type=search]'); search.value = 'RING';
        search.dispatchEvent(new Event('input', {bubbles: true}));
        said = lines + ' ' + seen('.line') + ' ' + seen('figure[data-row]')";
    let said = asked(folder.path(), "bench.html", script).unwrap();
    assert_eq!(said, "56 12 3", "lines before, lines after, figures after");
}

#[test]
fn the_summary_says_who_is_fast_lean_and_reports() {
    let folder = files();
    assert!(site(folder.path(), &ALL).status.success());
    let index = fs::read_to_string(folder.path().join("pages/index.html")).unwrap();
    let row = |name: &str| {
        let row = index.split("<tr ").find(|row| row.contains(&format!(">{name}<"))).unwrap();
        let cells = row.split("<span>").skip(1).map(|cell| cell.split('<').next().unwrap());
        cells.map(str::to_owned).collect::<Vec<_>>()
    };
    // The ratios of 10 to 11 nanoseconds, of 9,000 to 8,000 KiB, and of 400 to 399.
    assert_eq!(
        row("drystone"),
        ["drystone", "0.91×", "0.91×", "0.91×", "1.12×", "1.00×", "always"]
    );
    assert_eq!(row("mimalloc")[6], "never");
    assert_eq!(row("d")[6], "not judged");
    for page in ["bench.html", "one.html", "two.html", "record.html", "zoo.html", "trend.html"] {
        assert!(index.contains(&format!("href=\"{page}\"")), "{page} is not linked");
    }
    let record = fs::read_to_string(folder.path().join("pages/record.html")).unwrap();
    assert!(record.contains("&lt;b&gt;two&lt;/b&gt;") && record.contains("1 finding"), "{record}");
    let zoo = fs::read_to_string(folder.path().join("pages/zoo.html")).unwrap();
    assert!(zoo.contains("&lt;script&gt;alert") && !zoo.contains("written by"), "{zoo}");
}

#[test]
fn a_file_that_tells_nothing_is_rejected_before_anything_is_written() {
    let folder = files();
    let path = folder.path();
    fs::write(path.join("other.json"), "{\"format\": \"other\"}").unwrap();
    fs::write(path.join("noise.json"), "not JSON").unwrap();
    let broken = record().replacen("{\"line\":\"end\"", "{\"line\":", 1);
    fs::write(path.join("broken.jsonl"), broken).unwrap();
    let old = bench().to_string().replace("\"version\":2", "\"version\":9");
    fs::write(path.join("old.json"), old).unwrap();
    for (file, why) in [
        ("other.json", "is a `other`"),
        ("noise.json", "is none of the files"),
        ("old.json", "of version 9, and this program reads 1 and 2"),
        ("missing.json", "No such file"),
        ("broken.jsonl", "line 4: "),
    ] {
        let said = failed(&site(path, &["bench.json", file]));
        assert!(said.contains(file) && said.contains(why), "{said}");
        assert!(!path.join("pages").exists(), "{file}");
    }
}

#[test]
fn a_folder_that_is_somebodys_is_left_alone() {
    let folder = files();
    let pages = folder.path().join("pages");
    fs::create_dir(&pages).unwrap();
    fs::write(pages.join("index.html"), "mine").unwrap();
    let said = failed(&site(folder.path(), &["bench.json"]));
    assert!(said.contains("name another folder"), "{said}");
    assert_eq!(fs::read_to_string(pages.join("index.html")).unwrap(), "mine");

    fs::remove_file(pages.join("index.html")).unwrap();
    assert!(site(folder.path(), &["bench.json", "zoo.md"]).status.success());
    fs::write(pages.join("notes.txt"), "mine").unwrap();
    assert!(site(folder.path(), &["bench.json"]).status.success(), "it made that folder");
    assert!(!pages.join("zoo.html").exists(), "a page of which nothing tells any more");
    assert_eq!(fs::read_to_string(pages.join("notes.txt")).unwrap(), "mine");
}

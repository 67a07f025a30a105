//! What `trace` prints, and how it fails.

use std::path::Path;
use std::process::{Command, Output};

use drystone_workloads::trace::{Kind, Op, Trace, raw};

fn trace(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_drystone-trace")).args(arguments).output().expect("trace runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// Two threads, every kind, one hand-off, one block left over.
fn sample(folder: &Path) -> String {
    let op = |thread, kind| Op { thread, kind };
    let ops = vec![
        op(0, Kind::Malloc { block: 0, size: 24 }),
        op(0, Kind::Calloc { block: 1, size: 1_000_000 }),
        op(1, Kind::AlignedAlloc { block: 2, size: 40, align: 64 }),
        op(1, Kind::Realloc { from: 0, to: 3, size: 48 }),
        op(0, Kind::Free { block: 1 }),
        op(1, Kind::Free { block: 3 }),
    ];
    let file = folder.join("sample.trace");
    Trace::new("prog --flag", ops).unwrap().write(&file).unwrap();
    file.to_str().unwrap().to_owned()
}

const TABLE: &str = "\
command: prog --flag

 figure                                    value
 operations                                        6
 threads                                           2
 blocks                                            4
 peak live bytes                           1,000,088
 blocks never freed                                1
 bytes never freed                                40
 blocks ended by another thread                    1
 blocks ended within 8 births                      3
 frees of blocks older than the recording          0
 frees that were not seen                          0

 operation      count
 malloc             1
 calloc             1
 aligned_alloc      1
 realloc            1
 free               2

 bytes asked for       requests
 17 to 32                     1
 33 to 64                     2
";

#[test]
fn show_prints_the_figures() {
    let folder = tempfile::tempdir().unwrap();
    let file = sample(folder.path());
    let output = trace(&["show", &file]);
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(text(&output.stdout).starts_with(TABLE), "{}", text(&output.stdout));
    let last = text(&output.stdout).lines().last();
    assert_eq!(last, Some(" 524,289 to 1,048,576         1"));

    let markdown = trace(&["show", &file, "--format", "markdown"]);
    assert!(
        text(&markdown.stdout)
            .contains("| peak live bytes                          | 1,000,088 |\n")
    );

    let json = trace(&["show", &file, "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["version"], &json["operations"]), (&1.into(), &6.into()));
    assert_eq!(json["kinds"]["free"], 2);
    assert_eq!(json["sizes"][0], serde_json::json!({ "least": 17, "most": 32, "requests": 1 }));

    let colored = trace(&["show", &file, "--color", "always"]);
    assert!(text(&colored.stdout).contains("\x1b["));
}

#[test]
fn pack_packs_and_renames() {
    let folder = tempfile::tempdir().unwrap();
    let file = sample(folder.path());
    let packed = folder.path().join("again.trace");
    let output = trace(&["pack", &file, "-o", packed.to_str().unwrap(), "--command", "other"]);
    assert!(output.status.success() && output.stdout.is_empty());
    assert!(text(&output.stderr).starts_with("packed 6 operations into "));
    let (before, after) = (Trace::read(&file).unwrap(), Trace::read(&packed).unwrap());
    assert_eq!((after.command(), after.ops()), ("other", before.ops()));
}

#[test]
fn failures_are_one_sentence_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let mut empty = vec![0; raw::HEADER_BYTES];
    empty[..8].copy_from_slice(&raw::MAGIC);
    empty[raw::offset::VERSION] = raw::VERSION as u8;
    let sizes = [raw::HEADER_BYTES as u32, raw::RECORD_BYTES as u32];
    empty[12..16].copy_from_slice(&sizes[0].to_le_bytes());
    empty[16..20].copy_from_slice(&sizes[1].to_le_bytes());
    let files: [(&str, &[u8], &str); 2] = [
        (
            "empty.raw",
            &empty,
            "the trace holds no operations (0 raw records); was the recorder preloaded",
        ),
        ("text.raw", b"not a trace", "this is not an allocation trace; give a file written by"),
    ];
    for (name, bytes, words) in files {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let out = folder.path().join("out.trace");
        let output = trace(&["pack", file.to_str().unwrap(), "-o", out.to_str().unwrap()]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(
            said.starts_with("trace: ") && said.contains(name) && said.contains(words),
            "{said}"
        );
        assert!(!out.exists());
    }
    let said = trace(&["show", "no/such/file"]);
    assert_eq!(said.status.code(), Some(2));
    let said = text(&said.stderr);
    assert_eq!(said, "trace: cannot open no/such/file: No such file or directory (os error 2)\n");
}

#[test]
fn list_has_a_line_for_each_trace() {
    let folder = tempfile::tempdir().unwrap();
    let file = sample(folder.path());
    let other = folder.path().join("other.trace");
    let other = other.to_str().unwrap();
    trace(&["pack", &file, "-o", other, "--command", "a | b  # version 2"]);
    let output = trace(&["list", "--format", "markdown", &file, other]);
    assert!(output.status.success() && output.stderr.is_empty());
    let listed = text(&output.stdout);
    assert_eq!(listed.lines().count(), 4);
    let begin = "| sample | `prog --flag` | 6 | 4 | 2 | 1 | 1,000,088 | ";
    assert!(listed.lines().any(|line| line.starts_with(begin)), "{listed}");
    assert!(listed.contains("| other | `a \\| b` (version 2) | 6 |"), "{listed}");
    let json = trace(&["list", "--format", "json", &file]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["traces"][0]["name"], "sample");
    assert_eq!(trace(&["list"]).status.code(), Some(2));
}

/// The documentation has the table that the command in its mark prints.
#[test]
fn the_table_of_committed_traces_is_that_of_the_traces() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let files = drystone_workloads::committed::all().unwrap();
    let files = files.iter().map(|(_, path)| path.to_str().unwrap());
    let output =
        trace(&["list", "--format", "markdown"].into_iter().chain(files).collect::<Vec<_>>());
    let document = std::fs::read_to_string(root.join("docs/traces.md")).unwrap();
    let begin =
        "<!-- generated by: cargo trace list --format markdown workloads/traces/*.trace -->";
    let section = format!("{begin}\n{}<!-- checksum: ", text(&output.stdout));
    assert!(
        document.contains(&section),
        "run recorder/record-traces.sh, or let it write the table"
    );
}

#[test]
fn cost_is_that_of_the_loop_and_of_the_c_library() {
    let folder = tempfile::tempdir().unwrap();
    let output = trace(&["cost", "--format", "json", &sample(folder.path())]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let cost = &json["traces"][0];
    // Six operations, and the free of the block that is left.
    assert_eq!((&cost["name"], &cost["calls"]), (&"sample".into(), &7.into()));
    for figure in ["replay_ns", "with_the_c_library_ns"] {
        assert!(cost[figure].as_f64() > Some(0.0), "{json}");
    }
}

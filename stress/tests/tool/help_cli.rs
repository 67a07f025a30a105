//! The tool's texts: helps, usage errors, completions. Each is a snapshot; `SNAPSHOTS=overwrite`
//! writes them anew.

use std::fs;
use std::path::Path;

use crate::support::{PLAIN, ended, stress, text};
use snapbox::data::DataFormat;
use snapbox::{Data, assert_data_eq};
use tempfile::TempDir;

/// Every command of the tree.
const COMMANDS: [&[&str]; 13] = [
    &[],
    &["replay"],
    &["shrink"],
    &["join"],
    &["inject"],
    &["bench"],
    &["bench", "instructions"],
    &["cost"],
    &["conform"],
    &["programs"],
    &["zoo"],
    &["completions"],
    &["manual"],
];

/// Columns of the narrowest terminal that is cared for.
const COLUMNS: usize = 80;

#[track_caller]
fn is_snapshot(printed: &str, name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tool/snapshots");
    let expected = Data::read_from(&folder.join(format!("{name}.txt")), Some(DataFormat::Text));
    assert_data_eq!(printed.to_owned(), expected);
}

/// What a command prints on standard output when all is well.
#[track_caller]
fn printed(arguments: &[&str]) -> String {
    let output = PLAIN.run(arguments);
    ended(&output, 0);
    text(&output.stdout).to_owned()
}

#[test]
fn helps_are_as_their_snapshots_and_fit_eighty_columns() {
    for command in COMMANDS {
        let help = printed(&[command, &["--help"]].concat());
        for line in help.lines() {
            assert!(line.chars().count() <= COLUMNS, "{command:?}: {line}");
        }
        let name = match command {
            [] => "help".to_owned(),
            _ => format!("help/{}", command.join("-")),
        };
        is_snapshot(&help, &name);
    }
}

#[test]
fn help_is_a_command_too_and_knows_the_old_name() {
    assert_eq!(printed(&["help", "conform"]), printed(&["conform", "--help"]));
    assert_eq!(printed(&["refuse", "--help"]), printed(&["inject", "--help"]));
    let help = printed(&["help"]);
    for [command, ..] in COMMANDS.map(|command| [command.first().copied().unwrap_or("help")]) {
        assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
    }
    let words: Vec<&str> = help.split_whitespace().collect();
    assert!(words.join(" ").contains("[alias: refuse]"), "{help}");
}

#[test]
fn the_version_is_the_packages() {
    let expected = format!("cargo stress {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(printed(&["--version"]), expected);
}

/// Where it is installed, nobody has cargo's alias.
#[test]
fn away_from_cargo_it_calls_itself_by_its_own_name() {
    let output = stress().arg("--version").env_remove("CARGO_PKG_NAME").output().unwrap();
    assert_eq!(text(&output.stdout), format!("drystone-stress {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn each_command_has_a_page_for_man() {
    let folder = TempDir::new().unwrap();
    printed(&["manual", folder.path().to_str().unwrap()]);
    for command in COMMANDS {
        let page = [&["drystone-stress"], command].concat().join("-") + ".1";
        let page = fs::read_to_string(folder.path().join(page)).expect("a page");
        assert!(page.contains(".SH OPTIONS") && !page.contains("cargo stress manual"), "{page}");
    }
}

/// Exit code 2, and a message that names what to change, with no work begun.
#[test]
fn usage_errors_are_as_their_snapshot() {
    let mut all = String::new();
    for arguments in [
        &["conforn"][..],
        &["--alocator", "system"],
        &["conform", "--alocator", "system"],
        &["bench", "instruction"],
        &["help", "conforn"],
        &["help", "bench", "instruction"],
        &["help", "replay", "x"],
        &["--for", "soon"],
        &["--for", "0s"],
        &["inject", "--for", "5"],
        &["--format", "jsn"],
        &["replay", "x", "--color", "sometimes"],
        &["replay"],
        &["completions", "bsh"],
        &["--workload", "duell"],
        &["--workload", "mixed:largest=1X"],
        &["--allocator", "linked:lits"],
        &["--allocator", "=x.so"],
        &["--allocator", "./nowhere.so"],
        &["--allocator", "list", "--allocator", "linked:list"],
        &["inject", "--allocator", "linked:lits"],
        &["cost", "--allocator", "mimaloc"],
        &["bench", "--allocator", "linked:list"],
        &["conform", "--allocator", "linked:list"],
        &["programs", "--allocator", "linked:list"],
        &["--campaign", "x.toml", "--allocator", "system"],
        &["--shard", "1/2"],
    ] {
        let said = PLAIN.usage_error(arguments);
        assert!(said.starts_with("error: "), "{arguments:?}: {said}");
        all += &format!("$ cargo stress {}\n{said}\n", arguments.join(" "));
    }
    is_snapshot(&all, "usage-errors");
}

/// The heap that was called `drystone` and the library that is: whoever names one hears of the
/// other.
#[test]
fn a_name_that_changed_its_meaning_says_so() {
    let output = PLAIN.run(&["--allocator", "drystone", "--for", "200ms", "--workload", "churn"]);
    let said = text(&output.stderr);
    assert!(said.contains("linked:drystone"), "{said}");
    assert!(said.contains("libdrystone.so"), "{said}");
}

/// Scripts of before go on working, and get the names of today.
#[test]
fn names_of_before_are_read() {
    let report = PLAIN.report(
        0,
        &["--subject", "list", "--workload", "duel", "--for", "500ms", "--threads", "2"],
    );
    let run = &report["runs"][0];
    assert_eq!(
        (run["allocator"].as_str(), run["workload"].as_str()),
        (Some("linked:list"), Some("double-free"))
    );
}

#[test]
fn completions_are_of_the_installed_binary() {
    let mut all = String::new();
    for shell in ["bash", "zsh", "fish"] {
        let completions = printed(&["completions", shell]);
        assert!(completions.contains("conform"), "{shell} knows the subcommands");
        let first: Vec<&str> = completions.lines().take(3).collect();
        all += &format!("$ cargo stress completions {shell}\n{}\n", first.join("\n"));
    }
    is_snapshot(&all, "completions");
}

//! `results compare` as its users meet it, in a repository that is not ours, on a small allocator
//! written in C: real git, a real compiler, short measurements. Verdicts of time are the tool's
//! own; no test looks at a clock.

mod also;
mod instructions;
mod published;
mod repository;

use std::process::Command;

use serde_json::Value;

use repository::Repository;

#[test]
fn what_builds_to_the_same_is_identical_and_measured_no_further() {
    let repository = Repository::new();
    repository.write("README.md", "words\n");
    repository.write(
        "alloc.c",
        &(std::fs::read_to_string(repository.root().join("alloc.c")).unwrap()
            + "/* more words */\n"),
    );
    repository.commit();
    let output = repository.run(&["HEAD~1", "HEAD"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stdout.contains("identical"), "{}", output.stdout);
    let lines = repository.evidence();
    assert_eq!((lines.len(), &lines[1]["why"]), (2, &"identical".into()));
}

/// The first commit has no wrapper, and neither side builds as compare.toml says.
#[test]
fn another_recipe_lays_files_of_the_present_tree_into_both_copies() {
    let repository = Repository::new();
    repository.write("compare.toml", "build = \"false\"\narchive = \"none.a\"\n");
    repository.commit();
    let recipe = |from: &str| {
        format!(
            "build = \"cc -O2 -fPIC -ffunction-sections -c wrapped.c && ar rcs w.a wrapped.o\"\n\
             archive = \"w.a\"\n[lay]\n\"wrapped.c\" = \"{from}\"\n"
        )
    };
    repository.write("wrapper.c", "#include \"alloc.c\"\n");
    repository.write("other.toml", &recipe("wrapper.c"));
    let output = repository.run(&["--recipe", "other.toml", "HEAD~1", "HEAD"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stdout.contains("identical"), "{}", output.stdout);
    repository.write("other.toml", &recipe("../project/wrapper.c"));
    let output = repository.run(&["--recipe", "other.toml", "HEAD~1", "HEAD"]);
    output.assert_rejected("`lay` takes paths inside the tree");
    repository.write("other.toml", &recipe("gone.c"));
    let output = repository.run(&["--recipe", "other.toml", "HEAD~1", "HEAD"]);
    output.assert_rejected("cannot read `gone.c`, which the recipe's `lay` names");
}

/// Here the build itself edits the tree, as its owner may at any time.
#[test]
fn a_side_compared_with_itself_is_built_once() {
    let repository = Repository::new();
    let edits = format!("echo >> '{}'", repository.root().join("alloc.c").display());
    let recipe = include_str!("../allocator/compare.toml")
        .replace("$COMPILER", &format!("{edits} && $COMPILER"));
    repository.write("compare.toml", &recipe);
    let arguments = ["--no-identical", "--lanes", "time", "--rows", "pair/64", "--budget", "1s"];
    let output = repository.run(&[&[".", "."], &arguments[..]].concat());
    assert_ne!(output.code, Some(2), "{}", output.stderr);
    let header = &repository.evidence()[0];
    assert_eq!(header["a"]["inputs"], header["b"]["inputs"]);
    assert_eq!(output.stderr.matches("building").count(), 1, "{}", output.stderr);
}

#[test]
fn what_was_compared_is_listed() {
    let repository = Repository::new();
    repository.write("README.md", "words\n");
    repository.commit();
    assert_eq!(repository.run(&["HEAD~1", "HEAD"]).code, Some(0));
    let broken = repository.home().join("runs/2000-01-01T000000Z-0");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("evidence.jsonl"), "half").unwrap();
    let output = Repository::output(&mut repository.results(&["list"]));
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let words = output.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("HEAD~1 and HEAD are identical"), "{words}");
    assert!(words.contains("2 comparisons, 0 calibrations, 1 build"), "{words}");
    assert!(words.contains("damaged: "), "{words}");
}

#[test]
fn a_slow_down_regresses_and_an_uncommitted_edit_is_a_side() {
    let repository = Repository::new();
    repository.knobs(30, 0, 0);
    let output = repository.run(&["--lanes", "time", "--rows", "pair/64", "--format", "json"]);
    let json = output.json();
    assert_eq!(output.code, Some(1), "{json}");
    assert_eq!(json["rows"][0]["verdict"], "REGRESSED");
    assert!(json["rows"][0]["low_percent"].as_f64().unwrap() > 1.0);
    assert_eq!((&json["b"]["name"], &json["b"]["dirty"]), (&".".into(), &true.into()));
    assert_eq!(json["b"]["fresh_layouts"], true);
    // Every process has layouts of its own, and the file says which.
    let lines = repository.evidence();
    let layouts: std::collections::BTreeSet<String> = lines
        .iter()
        .filter(|line| line["kind"] == "process")
        .map(|line| line["layouts"].to_string())
        .collect();
    let processes = lines.iter().filter(|line| line["kind"] == "process").count();
    assert_eq!(layouts.len(), processes);
    assert!(processes >= 10, "{processes} can't decide");
}

#[test]
fn a_fatter_heap_regresses() {
    let repository = Repository::new();
    repository.knobs(0, 20, 0);
    repository.commit();
    let output = repository.run(&["HEAD~1", "HEAD", "--lanes", "memory", "--format", "json"]);
    let json = output.json();
    let memory = json["memory"].as_array().unwrap();
    let worse = |row: &&Value| row["verdict"] == "REGRESSED" && row["figure"] == "peak";
    assert!(memory.iter().any(|row| worse(&row)), "{json}");
    assert_eq!(output.code, Some(1));
}

/// The stress tool's word: a calloc that is not all zero is found, and vetoes.
#[test]
#[ignore = "builds the stress tool for release, which takes minutes where it was not built before"]
fn a_wrong_result_vetoes() {
    let repository = Repository::new();
    repository.knobs(0, 0, 100);
    let output = repository.run(&["--lanes", "correctness,time", "--format", "json"]);
    let json = output.json();
    assert_eq!(output.code, Some(1), "{json}{}", output.stderr);
    assert_eq!((&json["end"]["why"], &json["processes"]), (&"vetoed".into(), &0.into()));
    let findings = |side: &str| json["correctness"][side]["findings"].as_array().map(Vec::len);
    assert!(findings("b") > Some(0), "{json}");
    assert_eq!(findings("a"), Some(0), "{json}");
    // What it found is kept with the evidence, and not in the tree of either side or of the tool.
    let kept = repository.runs()[0].with_file_name("findings");
    assert!(std::fs::read_dir(kept).unwrap().count() > 0);
    assert_eq!(repository.git(&["status", "--porcelain"]), "M knobs.h");
    // The same wrong result on both sides says nothing of the change.
    repository.commit();
    repository.write("README.md", "words\n");
    let both = repository.run(&["HEAD", ".", "--no-identical", "--lanes", "correctness"]);
    assert_eq!(both.code, Some(0), "{}", both.stdout);
}

/// Six commits: the fourth is slow, the third does not build.
#[test]
#[ignore = "measures for a minute"]
fn bisect_finds_the_commit_and_goes_around_what_does_not_build() {
    let repository = Repository::new();
    let allocator = std::fs::read_to_string(repository.root().join("alloc.c")).unwrap();
    let turns = ["int a;", "no C", "int b;", "int slow;", "int c;", "int d;"];
    for (at, line) in turns.iter().enumerate() {
        repository.write("alloc.c", &format!("{allocator}{line}\n"));
        repository.knobs(if at < 3 { 0 } else { 60 }, 0, 0);
        repository.commit();
    }
    let slow = repository.git(&["rev-parse", "--short", "HEAD~2"]);
    let bisect = |arguments: &[&str]| {
        let arguments = [&["bisect"], arguments, &["--row", "pair/64"]].concat();
        Repository::output(&mut repository.results(&arguments))
    };
    let found = bisect(&["HEAD~6", "HEAD"]);
    assert_eq!(found.code, Some(0), "{}{}", found.stdout, found.stderr);
    assert!(found.stdout.starts_with(&slow), "{slow}: {}{}", found.stdout, found.stderr);
    assert!(found.stdout.contains("REGRESSED"), "its own comparison: {}", found.stdout);
    bisect(&["HEAD", "HEAD~1"]).assert_rejected("name the older one first");
    let nothing = bisect(&["HEAD~1", "HEAD"]);
    assert_eq!(nothing.code, Some(3), "{}", nothing.stdout);
}

#[test]
#[ignore = "measures for a minute"]
fn calibrate_records_a_side_beside_itself_and_selftest_draws_from_it() {
    let repository = Repository::new();
    let run = |arguments: &[&str]| Repository::output(&mut repository.results(arguments));
    let rows = ["--rows", "pair/64,ring/256"];
    let made = run(&[&["calibrate", "--processes", "60"][..], &rows].concat());
    assert!(matches!(made.code, Some(0 | 3)), "{}{}", made.stdout, made.stderr);
    assert!(made.stdout.contains(" resampled comparisons had a verdict"), "{}", made.stdout);
    assert!(!repository.home().join("calibrations").exists(), "of some rows only");
    let evidence = repository.evidence();
    let processes = evidence.iter().filter(|line| line["kind"] == "process");
    assert!(processes.clone().all(|line| line["rows"].as_array().unwrap().len() == 2));
    assert_eq!(processes.count(), 60);
    let drawn = run(&["selftest", "--resample", repository.runs()[0].to_str().unwrap()]);
    assert!(matches!(drawn.code, Some(0 | 1)), "{}", drawn.stderr);
    assert!(drawn.stdout.starts_with("Resampled: 1000 comparisons"), "{}", drawn.stdout);
}

/// A plant of each lane but correctness, in an allocator that is not ours.
#[test]
#[ignore = "measures for a minute"]
fn selftest_plants_into_any_archive_and_finds_it() {
    let repository = Repository::new();
    let plants = ["selftest", "--rounds", "1", "--plants", "documents,resident,stall"];
    let told = Repository::output(&mut repository.results(&plants));
    assert_eq!(told.code, Some(0), "{}{}", told.stdout, told.stderr);
    assert_eq!(told.stdout.matches("1 of 1").count(), 3, "{}", told.stdout);
    let rejected = Repository::output(&mut repository.results(&["selftest", "--plants", "rong"]));
    rejected.assert_rejected("no plant begins with `rong`");
}

#[test]
fn shards_are_joined_and_judged_as_one() {
    let repository = Repository::new();
    repository.knobs(30, 0, 0);
    for seed in ["1", "2"] {
        let time = ["--lanes", "time", "--rows", "pair/64", "--budget", "2s", "--seed", seed];
        assert!(repository.run(&time).code.is_some_and(|code| code != 2));
    }
    let runs = repository.runs();
    let [first, second] = [0, 1].map(|at| runs[at].to_str().unwrap());
    let all = repository.folder.path().join("all.jsonl");
    let all = all.to_str().unwrap();
    let merge = |files: &[&str]| {
        Repository::output(&mut repository.results(&[&["merge", "-o", all], files].concat()))
    };
    merge(&[first, first]).assert_rejected("give each shard a seed of its own");
    let merged = merge(&[first, second]);
    assert_eq!((merged.code, merged.stdout), (Some(0), format!("{all}\n")), "{}", merged.stderr);
    merge(&[first, second]).assert_rejected("is there already");
    let show = |files: &[&str]| {
        let shown = [&["show", "--format", "json", "--fail-on", "never"], files].concat();
        let mut json = Repository::output(&mut repository.results(&shown)).json();
        json["evidence"].take();
        json
    };
    let one = show(&[all]);
    assert_eq!(one, show(&[first, second]));
    let processes = |json: &Value| json["processes"].as_u64().unwrap();
    assert_eq!(processes(&one), processes(&show(&[first])) + processes(&show(&[second])));
}

#[test]
fn nothing_outside_its_own_folder_is_touched_and_no_hook_runs() {
    let repository = Repository::new();
    let hook = repository.root().join(".git/hooks/post-checkout");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\necho ran >> ../hook-ran\n").unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    repository.knobs(1, 0, 0);
    repository.commit();
    // A worktree whose folder is away for now: a bare prune would forget it.
    let other = repository.folder.path().join("other");
    repository.git(&["worktree", "add", "--detach", other.to_str().unwrap()]);
    std::fs::remove_file(repository.folder.path().join("hook-ran")).unwrap_or_default();
    let away = repository.folder.path().join("away");
    std::fs::rename(&other, &away).unwrap();
    let before =
        (repository.git(&["worktree", "list"]), repository.git(&["status", "--porcelain"]));

    let output = repository.run(&["HEAD~1", "HEAD", "--lanes", "memory"]);
    assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
    let after = (repository.git(&["worktree", "list"]), repository.git(&["status", "--porcelain"]));
    assert_eq!(before, after);
    assert!(!repository.folder.path().join("hook-ran").exists(), "a hook ran");
}

#[test]
fn a_sparse_checkout_is_compared_as_if_it_were_whole() {
    let repository = Repository::new();
    repository.git(&["sparse-checkout", "set", "--no-cone", "/compare.toml", "/alloc.c"]);
    assert!(!repository.root().join("knobs.h").exists());
    let output = repository.run(&["HEAD", "."]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stdout.contains("identical"), "{}", output.stdout);
    assert!(!repository.root().join("knobs.h").exists());
}

#[test]
fn a_side_that_does_not_build_or_is_nothing_is_named() {
    let repository = Repository::new();
    repository.write("alloc.c", "no C\n");
    repository.commit();
    repository.run(&["HEAD~1", "HEAD"]).assert_rejected("side `HEAD`");
    repository.run(&["HEAD~1", "nowhere"]).assert_rejected("`nowhere` is no commit");
    repository.run(&["HEAD~1", "alloc.c"]).assert_rejected("neither a shared library nor");
    let rejected = repository.run(&["HEAD~1", "HEAD~1", "--rows", "no-such"]);
    rejected.assert_rejected("no row begins with `no-such`");
}

/// Two libraries as they are, in no repository: and the luck of their layouts is said.
#[test]
fn any_two_libraries_can_be_compared() {
    let repository = Repository::new();
    let build = |output: &str, spin: &str| {
        let source = std::fs::read_to_string(repository.root().join("alloc.c")).unwrap();
        let folder = repository.folder.path();
        let copy = folder.join("x.c");
        std::fs::write(&copy, source.replace("SPIN; ", &format!("{spin}; "))).unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-O2", "-fno-builtin", "-shared", "-fPIC", "-I"]).arg(repository.root());
        assert!(cc.arg("-o").arg(folder.join(output)).arg(copy).status().unwrap().success());
    };
    build("old.so", "0");
    build("new.so", "60");
    let output = repository
        .compare(&["./old.so", "./new.so", "--lanes", "time", "--rows", "pair/64"])
        .current_dir(repository.folder.path())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        output.status.code(),
        Some(1),
        "{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(stdout.starts_with("./new.so REGRESSED against ./old.so: pair/64."), "{stdout}");
    assert!(stdout.contains("its luck is in the change"), "{stdout}");
    assert!(stdout.lines().all(|line| line.chars().count() <= 80), "{stdout}");
}

//! A library that is compared besides: the same allocator, with a loop of its own.

use serde_json::Value;

use super::repository::Repository;

const RECIPE: &str = "build = '''
cc -O2 -fno-builtin -fPIC -ffunction-sections \
-include second.h -c second.c && ar rcs libsecond.a second.o'''
archive = \"libsecond.a\"
";

/// A repository whose second commit has the other library.
fn repository() -> Repository {
    let repository = Repository::new();
    let file = repository.root().join("compare.toml");
    let own = std::fs::read_to_string(file).unwrap();
    let also =
        "[[also]]\nname = 'second'\nrecipe = 'second.toml'\nrows = ['pair/64', 'realloc/1K']\n";
    repository.write("compare.toml", &format!("{own}\n{also}"));
    repository.write("second.toml", RECIPE);
    let source = include_str!("../allocator/alloc.c").replace("< SPIN;", "< TURNS;");
    repository.write("second.c", &source);
    turns(&repository, 0);
    repository.commit();
    repository
}

/// Turns of an empty loop in each malloc of the other library.
fn turns(repository: &Repository, turns: u32) {
    repository.write("second.h", &format!("#define TURNS {turns}\n"));
}

fn names(json: &Value) -> Vec<&str> {
    json["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[test]
fn a_library_besides_that_changed_has_rows_without_being_asked_for() {
    let repository = repository();
    turns(&repository, 60);
    let output = repository.run(&["--lanes", "time,memory", "--format", "json", "HEAD", "."]);
    let json = output.json();
    assert_eq!(output.code, Some(1), "{json}");
    assert_eq!(names(&json), ["second/pair/64", "second/realloc/1K"]);
    assert_eq!(json["rows"][0]["verdict"], "REGRESSED");
    assert_eq!((&json["identical"], &json["memory"]), (&true.into(), &Value::Array(Vec::new())));
    let file = repository.runs().remove(0);
    let shown = Repository::output(&mut repository.results(&["show", file.to_str().unwrap()]));
    let regressed = ". REGRESSED against HEAD: second/pair/64";
    assert!(shown.stdout.starts_with(regressed), "{}", shown.stdout);
    let identical = "HEAD and . are identical: the rows are of other libraries";
    assert!(shown.stdout.contains(identical), "{}", shown.stdout);
}

#[test]
fn each_process_measures_one_library_and_shards_of_them_join() {
    let repository = repository();
    repository.knobs(60, 0, 0);
    turns(&repository, 60);
    for seed in ["1", "2"] {
        let rows = ["--lanes", "time", "--rows", "pair/64,second/pair/64", "--seed", seed];
        let output = repository.run(&[&rows[..], &["--format", "json"]].concat());
        let json = output.json();
        assert_eq!((output.code, names(&json)), (Some(1), vec!["pair/64", "second/pair/64"]));
        assert_eq!(json["verdicts"]["REGRESSED"], 2, "{json}");
    }
    let processes = repository.evidence().into_iter().filter(|line| line["kind"] == "process");
    let measured: Vec<Vec<Value>> =
        processes.map(|line| line["rows"].as_array().unwrap().clone()).collect();
    assert!(measured.iter().all(|rows| rows.len() == 1), "{measured:?}");
    let of = |name: &str| measured.iter().filter(|rows| rows[0]["name"] == name).count();
    assert!(of("pair/64") >= 10 && of("second/pair/64") >= 10, "{measured:?}");
    let runs = repository.runs();
    let files = [runs[0].to_str().unwrap(), runs[1].to_str().unwrap()];
    let joined = Repository::output(
        &mut repository.results(&["show", "--format", "json", files[0], files[1]]),
    );
    assert_eq!(names(&joined.json()), ["pair/64", "second/pair/64"]);
}

#[test]
fn one_that_did_not_change_has_none() {
    let repository = repository();
    repository.knobs(60, 0, 0);
    let rows = ["--lanes", "time", "--rows", "pair/64,second"];
    let output = repository.run(&[&rows[..], &["--format", "json"]].concat());
    let json = output.json();
    assert_eq!((output.code, names(&json)), (Some(1), vec!["pair/64"]), "{json}");
    assert_eq!(json["also"][0]["left_out"], "it is the same on both sides");
    let alone = repository.run(&["--lanes", "time", "--rows", "second"]);
    let said = "Only other libraries of HEAD and . were asked for; none differs.\nsecond: its \
                rows are left out: it is the";
    let said = said.replace("HEAD", &repository.git(&["rev-parse", "--short", "HEAD"]));
    assert_eq!(alone.code, Some(0), "{}", alone.stderr);
    assert!(alone.stdout.starts_with(&said), "{}", alone.stdout);
}

#[test]
fn one_that_does_not_build_is_said_and_fails_only_if_it_alone_is_asked_for() {
    let repository = repository();
    repository.knobs(60, 0, 0);
    let compare = |rows: &str| repository.run(&["HEAD~1", ".", "--lanes", "time", "--rows", rows]);
    let output = compare("pair/64,second");
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    let said = "second: its rows are left out: it does not build on A";
    assert!(output.stdout.contains(said), "{}", output.stdout);
    compare("second").assert_rejected("second: it does not build on A: `");
    // B is to build: it would else take the library away, and nobody see it.
    let broken = repository.run(&["HEAD", "HEAD~1", "--lanes", "time", "--rows", "pair/64,second"]);
    broken.assert_rejected("second: it does not build on B: `");
    assert!(!compare("pair/64").stderr.contains("second"), "it was not asked for");
    let memory = repository.run(&["HEAD~1", "HEAD~1", "--lanes", "memory"]);
    assert!(!memory.stderr.contains("second"), "{}", memory.stderr);
}

#[test]
fn entries_that_cannot_be_used_are_named_before_anything_is_built() {
    let repository = repository();
    let own = std::fs::read_to_string(repository.root().join("compare.toml")).unwrap();
    for (from, to, sentence) in [
        ("'second'", "'a b'", "give each a name of its own"),
        ("'second'", "'pair'", "the name `pair` is that of a row"),
        ("'pair/64'", "'pair/63'", "second has no row `pair/63`; there are pair/16"),
        ("'pair/64'", "'realloc/1K'", "names none, or one twice"),
        ("'second.toml'", "'gone.toml'", "cannot read"),
        ("'second.toml'", "'../second.toml'", "give its path inside the tree"),
    ] {
        repository.write("compare.toml", &own.replace(from, to));
        let output = repository.run(&["HEAD", "."]);
        output.assert_rejected(sentence);
        assert!(!output.stderr.contains("building"), "{}", output.stderr);
    }
}

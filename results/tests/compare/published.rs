//! Two versions of allocators of others, from the crates that publish their sources.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::repository::Repository;

/// A crate with an allocator's sources.
struct Published {
    name: &'static str,
    /// The older one first.
    versions: [&'static str; 2],
    /// The folder of the sources in the crate.
    sources: &'static str,
    /// How the folder, as `source`, becomes an object file.
    compile: &'static str,
}

#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn two_published_versions_of_mimalloc_are_compared() {
    compare(&Published {
        name: "libmimalloc-sys",
        versions: ["0.1.44", "0.1.49"],
        sources: "c_src/mimalloc/v2",
        compile: "cc -O3 -DNDEBUG -DMI_MALLOC_OVERRIDE -fPIC -fno-builtin-malloc \
                  -ffunction-sections -Isource/include -c source/src/static.c -o alloc.o",
    });
}

#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn two_published_versions_of_rpmalloc_are_compared() {
    compare(&Published {
        name: "rpmalloc-sys",
        versions: ["0.2.2", "0.2.3"],
        sources: "rpmalloc/rpmalloc",
        compile: "cc -std=c11 -O3 -w -D_GNU_SOURCE -DENABLE_PRELOAD=1 -DENABLE_OVERRIDE=1 -fPIC \
                  -ffunction-sections -c source/rpmalloc.c -o alloc.o",
    });
}

const ROWS: [&str; 3] = ["pair/64", "ring/256", "ring/16384"];

/// Each version becomes a commit of a repository. Both build and load, and each row is measured and
/// has a verdict, whichever it is. Which version is faster is no question here: a test's build of
/// the tool is not optimised.
fn compare(published: &Published) {
    let repository = Repository::empty();
    let build = format!("{} && ar rcs liballoc.a alloc.o", published.compile);
    repository.write("compare.toml", &format!("build = '{build}'\narchive = 'liballoc.a'\n"));
    for version in published.versions {
        let package = repository.folder.path().join(version);
        let sources = vendored(published, version, &package).join(published.sources);
        let source = repository.root().join("source");
        let _ = std::fs::remove_dir_all(&source);
        run(Command::new("cp").arg("-R").args([&sources, &source]));
        repository.commit();
    }
    let rows = ROWS.join(",");
    let asked = ["--lanes", "memory,time", "--budget", "30s", "--format", "json", "--rows", &rows];
    let output = repository.run(&[&["HEAD~1", "HEAD"], &asked[..]].concat());
    eprintln!("{} {}", published.name, published.versions.join(" and "));
    let json = output.json();
    let file = json["evidence"].as_str().unwrap();
    let show = ["show", "--all", "--fail-on", "never", file];
    eprintln!("{}", Repository::output(&mut repository.results(&show)).stdout);
    let has = |field: &str, verdict: &str| {
        json[field].as_array().unwrap().iter().any(|row| row["verdict"] == verdict)
    };
    let judged = json["rows"].as_array().unwrap();
    let names: Vec<&Value> = judged.iter().map(|row| &row["name"]).collect();
    assert_eq!(names, ROWS, "{json}");
    assert!(judged.iter().all(|row| row["processes"].as_u64() > Some(0)), "{json}");
    assert_eq!(json["end"]["failed"], 0, "{json}{}", output.stderr);
    let worse = ["rows", "tails", "memory"].iter().any(|field| has(field, "REGRESSED"));
    let expected = match json["null_failed"].as_array().unwrap().is_empty() {
        true if worse => 1,
        true if !has("rows", "INCONCLUSIVE") => 0,
        _ => 3,
    };
    assert_eq!(output.code, Some(expected), "{json}");
}

/// Cargo's copy of a version of the crate, for a package in `folder` that depends on it. There is a
/// package for each version: cargo lets no package depend on two crates with one `links` key.
fn vendored(published: &Published, version: &str, folder: &Path) -> PathBuf {
    std::fs::create_dir_all(folder.join("src")).unwrap();
    std::fs::write(folder.join("src/lib.rs"), "").unwrap();
    let manifest = format!(
        "[package]\nname = 'sources'\nversion = '0.0.0'\nedition = '2024'\n\
         [dependencies]\n{} = '={version}'\n",
        published.name
    );
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    run(Command::new(env!("CARGO")).args(["vendor", "--quiet"]).current_dir(folder));
    folder.join("vendor").join(published.name)
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

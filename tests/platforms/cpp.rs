//! C++'s operators new and delete, alone and beside other allocators.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::lab::{Lab, SHARED, finished};
use crate::support;

/// Compiles `source`, a path from the workspace's root, as C++17.
fn compile(lab: &Lab, source: &str, output: &str, how: &[&str]) -> PathBuf {
    let output = lab.folder().join(output);
    let mut compile = Command::new("c++");
    compile
        .args(["-std=c++17", "-O1", "-g", "-fno-builtin", "-Wall", "-Wextra", "-Werror"])
        .args(["-Wno-alloc-size-larger-than", "-Wno-mismatched-new-delete"])
        .arg(support::workspace().join(source))
        .arg("-o")
        .arg(&output)
        .args(how);
    let said = finished(&mut compile, "g++");
    assert!(said.status.success(), "{source}, {how:?}: {}", said.stderr);
    output
}

#[track_caller]
fn right(lab: &Lab, program: &Path, preload: bool) -> bool {
    let preload = [("LD_PRELOAD", SHARED.to_str().unwrap())].into_iter().filter(|_| preload);
    let environment: Vec<_> = preload.chain([("LD_LIBRARY_PATH", ".")]).collect();
    let (ended, account) = lab.run(program, &environment, &[]);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("right\n", ""), "{ended:?}");
    assert!(ended.status.success(), "{ended:?}");
    let sound = account.map(|account| account.text("sound") == "true");
    assert_ne!(sound, Some(false));
    sound.is_some()
}

#[test]
fn every_operator_allocates_frees_and_throws() {
    if !support::has("c++", "g++") {
        return;
    }
    let lab = Lab::new();
    let source = "tests/c/cpp/every_operator.cc";
    let program = compile(&lab, source, "every", &[]);
    assert!(right(&lab, &program, true), "the library served it");
    let archive = SHARED.with_file_name("libdrystone.a");
    let archive = archive.to_str().unwrap();
    let program = compile(&lab, source, "static", &["-static", archive]);
    assert!(right(&lab, &program, false), "the library served it");
    let program = compile(&lab, source, "runtime", &["-static-libstdc++", archive]);
    assert!(right(&lab, &program, false), "the library served it");
}

/// Under this library, the operators of the other one would give blocks that `free` does not know.
#[test]
fn a_program_that_is_linked_to_another_allocator_is_served_whole() {
    if !support::has("c++", "g++") {
        return;
    }
    let lab = Lab::new();
    let other = ["-shared", "-fPIC", "-DMALLOC", "-DOPERATORS"];
    compile(&lab, "tests/c/cpp/other_family.cc", "libother.so", &other);
    let folder = lab.folder().to_str().unwrap();
    let linked = ["-L", folder, "-Wl,--no-as-needed", "-lother"];
    let program = compile(&lab, "tests/c/cpp/linked_to_other.cc", "linked", &linked);
    right(&lab, &program, false);
    assert!(right(&lab, &program, true), "the library served it");
}

/// A program that defines `malloc` itself keeps it, whatever is preloaded: then `new` must use it
/// too, since the program hands what `new` gave to its own `free`.
#[test]
fn a_program_with_its_own_malloc_keeps_its_blocks() {
    if !support::has("c++", "g++") {
        return;
    }
    let lab = Lab::new();
    let other = support::workspace().join("tests/c/cpp/other_family.cc");
    let linked = ["-DMALLOC", "-rdynamic", other.to_str().unwrap()];
    let program = compile(&lab, "tests/c/cpp/linked_to_other.cc", "own", &linked);
    right(&lab, &program, false);
    right(&lab, &program, true);
}

//! The allocator inside a library: of a host that loads and unloads it, behind a Rust `dylib`,
//! beside another copy of itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::lab::{Lab, Linked, SHARED, finished};
use crate::support;

const PLUG: &str = "\
    #[global_allocator]\n\
    static HEAP: drystone::Drystone = drystone::Drystone;\n\
    #[unsafe(no_mangle)]\n\
    pub extern \"C\" fn plug_work(n: u32) -> u64 {\n\
        let numbers: Vec<u64> = (0..u64::from(n)).collect();\n\
        let texts: Vec<String> = numbers.iter().map(u64::to_string).collect();\n\
        texts.iter().map(|text| text.parse::<u64>().unwrap()).sum()\n\
    }\n";

/// Packages of a workspace of their own, as a user of the crate has them: name, kind of library or
/// none for a program, dependencies, source. The last is built, and whatever it depends on.
fn build(folder: &Path, packages: &[(&str, &str, &str, &str)]) -> PathBuf {
    let members: Vec<_> = packages.iter().map(|package| package.0).collect();
    fs::write(
        folder.join("Cargo.toml"),
        format!("[workspace]\nresolver = \"3\"\nmembers = {members:?}\n"),
    )
    .unwrap();
    for (name, kind, dependencies, source) in packages {
        let package = folder.join(name);
        fs::create_dir_all(package.join("src")).unwrap();
        let library = match *kind {
            "" => String::new(),
            kind => format!("[lib]\ncrate-type = [{kind:?}]\n"),
        };
        let manifest = format!(
            "[package]\nname = {name:?}\nversion = \"0.1.0\"\nedition = \"2024\"\n\
             {library}[dependencies]\n{dependencies}\n"
        );
        fs::write(package.join("Cargo.toml"), manifest).unwrap();
        let file = if kind.is_empty() { "src/main.rs" } else { "src/lib.rs" };
        fs::write(package.join(file), source).unwrap();
    }
    let target = folder.join("target");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--release", "--offline", "--quiet", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .args(["--package", members.last().unwrap()])
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("RUSTFLAGS");
    let said = finished(&mut cargo, "cargo");
    assert!(said.status.success(), "{}", said.stderr);
    target.join("release")
}

fn drystone() -> String {
    format!("drystone = {{ path = {:?} }}", support::workspace())
}

#[test]
fn a_plug_in_outlives_its_unloading_and_many_copies_find_room() {
    let lab = Lab::new();
    let built = build(lab.folder(), &[("plug", "cdylib", &drystone(), PLUG)]);
    let plugin = built.join("libplug.so");
    let host = lab.compile("tests/c/loading/host.c", Linked::Plain);
    for copy in 0..150 {
        fs::copy(&plugin, built.join(format!("libplug.so.{copy}"))).unwrap();
    }
    let plugin = plugin.to_str().unwrap();
    for how in [&["thread"][..], &["fork"], &["again", "200"], &["copies", "150"]] {
        let arguments: Vec<_> = [plugin].into_iter().chain(how.iter().copied()).collect();
        let (ended, _) = lab.run(&host, &[("DRYSTONE_STATS", "0")], &arguments);
        assert!(ended.status.success(), "{how:?}: {ended:?}");
        assert_eq!((&*ended.stdout, &*ended.stderr), ("right\n", ""), "{how:?}");
    }
}

#[test]
fn the_crate_stands_behind_a_rust_dylib() {
    let lab = Lab::new();
    let between = "pub use drystone::Drystone;\n\
                   #[global_allocator]\n\
                   static HEAP: Drystone = Drystone;\n";
    let program = "fn main() {\n\
        let block = between::Drystone.malloc(100);\n\
        unsafe { between::Drystone.try_free(block) }.unwrap();\n\
        assert!(unsafe { between::Drystone.try_free(block) }.is_err());\n\
        let work = || (0..1000).map(|n| vec![n; n].len()).sum::<usize>();\n\
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(work)).collect();\n\
        assert!(threads.into_iter().all(|thread| thread.join().unwrap() == 499500));\n\
        println!(\"right\");\n\
    }\n";
    let packages = [
        ("between", "dylib", &*drystone(), between),
        ("program", "", "between = { path = \"../between\" }", program),
    ];
    let built = build(lab.folder(), &packages);
    // Rust's own library is shared then.
    let mut rustc = Command::new("rustc");
    let said = finished(rustc.args(["--print", "target-libdir"]), "rustc");
    let folders = format!("{}:{}", built.display(), said.stdout.trim());
    let environment = [("LD_LIBRARY_PATH", &*folders), ("DRYSTONE_STATS", "0")];
    let (ended, _) = lab.run(&built.join("program"), &environment, &[]);
    assert_eq!((&*ended.stdout, &*ended.stderr), ("right\n", ""), "{ended:?}");
}

#[test]
fn two_copies_fit_into_one_program() {
    let lab = Lab::new();
    let built = build(lab.folder(), &[("plug", "staticlib", &drystone(), PLUG)]);
    let source = lab.folder().join("both.c");
    let text = "#include <stdio.h>\n#include <stdlib.h>\n\
                unsigned long plug_work(unsigned);\n\
                int main(void) {\n\
                    free(malloc(100));\n\
                    return plug_work(1000) == 499500 && puts(\"right\") >= 0 ? 0 : 1;\n\
                }\n";
    fs::write(&source, text).unwrap();
    let program = lab.folder().join("both");
    let mut cc = Command::new("cc");
    cc.arg("-fno-builtin").arg(&source).arg(SHARED.with_file_name("libdrystone.a"));
    cc.arg(built.join("libplug.a")).args(["-lgcc_s", "-lm", "-pthread", "-ldl", "-o"]);
    let said = finished(cc.arg(&program), "gcc");
    assert!(said.status.success(), "{}", said.stderr);
    let (ended, _) = lab.run(&program, &[("DRYSTONE_STATS", "0")], &[]);
    assert_eq!((&*ended.stdout, &*ended.stderr), ("right\n", ""), "{ended:?}");
}

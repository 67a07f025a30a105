//! The steps that a packager follows: `make`, `make install` into a prefix and into a staging
//! folder, and programs in C and C++ built against what is there, shared and static: by what
//! `pkg-config` says, and by CMake.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::served::{self, Account, Ended};
use crate::support;
use tempfile::TempDir;

fn run(tool: &mut Command, package: &str) -> Ended {
    let name = tool.get_program().to_string_lossy().into_owned();
    let ended = served::run(tool, &support::workspace(), 600).unwrap_or_else(|error| {
        panic!("{name} does not run ({error}): install Debian's {package}")
    });
    assert!(ended.status.success(), "{tool:?}: {}", ended.stderr);
    ended
}

/// Whether the machine has what a packager has.
fn has_tools() -> bool {
    ["make", "pkg-config", "cmake"].iter().all(|tool| support::has(tool, tool))
        && support::has("c++", "g++")
}

fn make(arguments: &[&str]) {
    let mut make = Command::new("make");
    // A debug build's settings, or a hurried one's, must not reach it.
    make.args(["-C", "capi"]).args(arguments).env("CARGO", env!("CARGO"));
    run(make.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"), "make");
}

/// `make install`, of what `make` has built: by somebody who has no toolchain.
fn install(arguments: &[&str]) {
    make(&["all"]);
    make(&[&["install", "CARGO=false"], arguments].concat());
}

/// What `pkg-config` says about the installation in `prefix`.
fn flags(prefix: &Path, arguments: &[&str]) -> Vec<String> {
    let mut tool = Command::new("pkg-config");
    tool.args(arguments).arg("drystone").env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    let said = run(&mut tool, "pkg-config").stdout;
    said.split_whitespace().map(str::to_owned).collect()
}

/// Compiles an example against `prefix` and runs it; the library must have served it.
fn build_and_run(
    prefix: &Path,
    compiler: &[&str],
    example: &str,
    statically: bool,
    calls: u64,
) -> String {
    let folder = TempDir::new().unwrap();
    let program = folder.path().join("program");
    let mut compile = Command::new(compiler[0]);
    compile.args(&compiler[1..]).args(["-Wall", "-Wextra", "-Werror", "-pthread"]);
    compile.arg(support::workspace().join("examples").join(example)).arg("-o").arg(&program);
    compile.args(flags(prefix, &["--cflags"]));
    match statically {
        true => compile.arg("-static").args(flags(prefix, &["--static", "--libs"])),
        false => compile.args(flags(prefix, &["--libs"])),
    };
    run(&mut compile, "g++");
    let accounts = folder.path().join("accounts");
    let mut example = Command::new(&program);
    example.env("DRYSTONE_STATS", &accounts);
    match statically {
        // Nothing of the prefix is needed any more.
        true => example.env_remove("LD_LIBRARY_PATH"),
        // Found by its soname, the name with a version.
        false => example.env("LD_LIBRARY_PATH", prefix.join("lib")),
    };
    let ended = served::run(&mut example, folder.path(), 60).unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
    let account = Account::all(&accounts).pop().expect("the library gives its account");
    assert!(account.number("calls") >= calls, "{account:?}");
    assert_eq!(account.text("sound"), "true");
    ended.stdout
}

#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn an_installation_serves_c_and_cpp_programs() {
    if !has_tools() {
        return;
    }
    let prefix = TempDir::new().unwrap();
    let prefix = prefix.path();
    install(&[&format!("PREFIX={}", prefix.display())]);

    let version = env!("CARGO_PKG_VERSION");
    let library = format!("libdrystone.so.{version}");
    let lib = prefix.join("lib");
    for (link, target) in
        [("libdrystone.so", "libdrystone.so.0"), ("libdrystone.so.0", library.as_str())]
    {
        assert_eq!(fs::read_link(lib.join(link)).unwrap(), PathBuf::from(target));
    }
    let mode = |file: PathBuf| fs::metadata(file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(lib.join(&library)), 0o755);
    assert_eq!(mode(lib.join("libdrystone.a")), 0o644);
    assert_eq!(mode(prefix.join("include/drystone.h")), 0o644);
    assert_eq!(flags(prefix, &["--modversion"]), [version]);

    for statically in [false, true] {
        let said = build_and_run(prefix, &["cc", "-std=gnu17"], "hello.c", statically, 14);
        assert!(said.starts_with("hello from Drystone\n1000 squares"), "{said}");
        let said = build_and_run(prefix, &["c++", "-std=c++17"], "hello.cc", statically, 2000);
        let stones = "100 stones\n100 stones\n100 stones\ncourse 3 does not hold\n100 stones\n";
        let expected = format!("{stones}aligned: yes\n101 keys, Drystone here\n");
        assert_eq!(said, expected);
    }
    it_serves_a_project_of_cmake(prefix);
    the_manual_names_every_variable(prefix);

    make(&["uninstall", &format!("PREFIX={}", prefix.display())]);
    let left: Vec<_> = files(prefix).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A project that finds the installation by `find_package`, and starts without further ado: CMake
/// writes the library's folder into programs that lie where they were built.
fn it_serves_a_project_of_cmake(prefix: &Path) {
    let folder = TempDir::new().unwrap();
    let (source, build) = (folder.path(), folder.path().join("build"));
    let examples = support::workspace().join("examples");
    let project = format!(
        "cmake_minimum_required(VERSION 3.16)\n\
         project(hello C CXX)\n\
         find_package(Drystone {} REQUIRED)\n\
         add_executable(c {examples}/hello.c)\n\
         target_link_libraries(c Drystone::drystone)\n\
         add_executable(cxx {examples}/hello.cc)\n\
         target_link_libraries(cxx Drystone::drystone)\n\
         add_executable(static {examples}/hello.c)\n\
         target_link_libraries(static Drystone::static)\n",
        env!("CARGO_PKG_VERSION"),
        examples = examples.display(),
    );
    fs::write(source.join("CMakeLists.txt"), project).unwrap();
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(source).arg("-B").arg(&build);
    run(configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display())), "cmake");
    run(Command::new("cmake").arg("--build").arg(&build), "cmake");
    for (program, says) in
        [("c", "hello from Drystone"), ("cxx", "100 stones"), ("static", "hello from Drystone")]
    {
        let said = run(&mut Command::new(build.join(program)), "cmake").stdout;
        assert!(said.starts_with(says), "{program}: {said}");
    }
}

/// The variables are those that the library itself lists.
fn the_manual_names_every_variable(prefix: &Path) {
    let page = fs::read_to_string(prefix.join("share/man/man7/drystone.7")).unwrap();
    assert!(!page.contains('@') && page.contains(env!("CARGO_PKG_VERSION")), "{page}");
    let mut program = Command::new("true");
    program.env("LD_PRELOAD", prefix.join("lib/libdrystone.so")).env("DRYSTONE_HELP", "1");
    let help = run(&mut program, "coreutils").stderr;
    let listed: Vec<_> =
        help.split([' ', ':', '\n']).filter(|word| word.starts_with("DRYSTONE_")).collect();
    assert!(listed.len() >= 5, "{help}");
    for name in listed {
        assert!(page.contains(&format!("\n.B {name}\n")), "{name}: {page}");
    }
}

#[test]
#[ignore = "long: a step of .ci/run runs it"]
fn a_staged_installation_says_where_it_will_be() {
    if !has_tools() {
        return;
    }
    let stage = TempDir::new().unwrap();
    install(&[
        &format!("DESTDIR={}", stage.path().display()),
        "PREFIX=/usr",
        "LIBDIR=/usr/lib/triplet",
    ]);
    let mut found: Vec<_> = files(stage.path())
        .map(|file| file.strip_prefix(stage.path()).unwrap().display().to_string())
        .collect();
    found.sort();
    let library = format!("usr/lib/triplet/libdrystone.so.{}", env!("CARGO_PKG_VERSION"));
    let expected = [
        "usr/include/drystone.h",
        "usr/lib/triplet/cmake/Drystone/DrystoneConfig.cmake",
        "usr/lib/triplet/cmake/Drystone/DrystoneConfigVersion.cmake",
        "usr/lib/triplet/libdrystone.a",
        "usr/lib/triplet/libdrystone.so",
        "usr/lib/triplet/libdrystone.so.0",
        &library,
        "usr/lib/triplet/pkgconfig/drystone.pc",
        "usr/share/doc/drystone/CHANGELOG.md",
        "usr/share/doc/drystone/LICENSE-APACHE",
        "usr/share/doc/drystone/LICENSE-MIT",
        "usr/share/man/man7/drystone.7",
    ];
    assert_eq!(found, expected);
    let pc =
        fs::read_to_string(stage.path().join("usr/lib/triplet/pkgconfig/drystone.pc")).unwrap();
    assert!(pc.contains("libdir=/usr/lib/triplet\n") && pc.contains("prefix=/usr\n"), "{pc}");
    assert!(!pc.contains(stage.path().to_str().unwrap()) && !pc.contains('@'), "{pc}");
}

/// All files under `folder`, links too.
fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => found.push(entry.path()),
            }
        }
    }
    found.into_iter()
}

//! Code that allocates before the loader has relocated the allocator: resolvers of indirect
//! functions.

use std::process::Command;

use crate::lab::{Lab, SHARED, finished};
use crate::support;

/// Of a program with the archive inside, some of whose own places are known by then and some are
/// not, that is not promised. In a static program the C library calls resolvers before there is a
/// thread pointer: its own allocator crashes there as well.
#[test]
fn a_resolver_may_allocate() {
    let lab = Lab::new();
    let source = |name: &str| support::workspace().join("tests/c/loading").join(name);
    let folder = lab.folder().to_str().unwrap().to_owned();
    let compile = |output: &str, arguments: &[&str]| {
        let output = lab.folder().join(output);
        let mut cc = Command::new("cc");
        cc.args(["-std=gnu17", "-O1", "-g", "-fno-builtin", "-Wall", "-Wextra", "-Werror"]);
        // Bound at once: else the resolver is called when `main` calls the function.
        cc.arg("-Wl,-z,now");
        cc.args(arguments).arg("-o").arg(&output);
        let said = finished(&mut cc, "gcc and libc6-dev");
        assert!(said.status.success(), "{arguments:?}: {}", said.stderr);
        output
    };
    let (library, program) = (source("resolver_lib.c"), source("resolver.c"));
    let (library, program) = (library.to_str().unwrap(), program.to_str().unwrap());
    let release = SHARED.parent().unwrap().to_str().unwrap();
    let paths = format!("-Wl,--disable-new-dtags,-rpath,{folder},-rpath,{release}");
    compile("libresolver.so", &["-shared", "-fPIC", library]);
    let shared = ["-L", &folder, "-lresolver", &paths];
    let ours = ["-L", release, "-ldrystone"];
    let preload = &[("LD_PRELOAD", SHARED.to_str().unwrap())][..];
    for (name, environment, how) in [
        ("preloaded", preload, [&[program][..], &shared].concat()),
        ("before", &[], [&[program][..], &ours, &shared].concat()),
        ("behind", &[], [&[program][..], &shared, &ours].concat()),
        ("own", preload, vec![program, library]),
    ] {
        let (ended, account) = lab.run(&compile(name, &how), environment, &[]);
        assert_eq!((&*ended.stdout, &*ended.stderr), ("right\n", ""), "{name}: {ended:?}");
        let account = account.unwrap_or_else(|| panic!("{name}: the library served it"));
        assert_eq!(account.number("misuses_at_call"), 0, "{name}: {account:?}");
        assert_eq!(account.text("sound"), "true", "{name}: {account:?}");
    }
}

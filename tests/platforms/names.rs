//! glibc's names for its allocator beside the standard ones.

use std::process::Command;

use crate::lab::{Lab, Linked, SHARED, finished};
use crate::support;

/// A use of each name, for a program that uses no other.
const ONLY: [&str; 17] = [
    "mallopt(M_MMAP_THRESHOLD, 1 << 20)",
    "__libc_free(__libc_malloc(10))",
    "free(__libc_calloc(10, 10))",
    "free(__libc_realloc(NULL, 10))",
    "free(__libc_memalign(64, 100))",
    "free(__libc_valloc(10))",
    "free(__libc_pvalloc(10))",
    "cfree(malloc(10))",
    "mallinfo2()",
    "malloc_info(0, stderr)",
    "malloc_stats()",
    "malloc_trim(0)",
    "free(memalign(64, 10))",
    "free(reallocarray(NULL, 10, 10))",
    "free(aligned_alloc(64, 64))",
    "free(valloc(10))",
    "{ void *p; CHECK(__posix_memalign(&p, 64, 10) == 0); free(p); }",
];

#[test]
fn glibcs_further_names_are_of_the_same_family() {
    let lab = Lab::new();
    for linked in [Linked::Shared, Linked::Static, Linked::AllStatic] {
        let program = lab.compile("tests/c/loading/names.c", linked);
        let (ended, account) = lab.run(&program, &[], &[]);
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("right\n", ""), "{ended:?}");
        let account = account.expect("the library served it");
        assert_eq!(account.text("sound"), "true", "{linked:?}: {account:?}");
    }
    // A preloaded library comes before the C library's own.
    let program = lab.folder().join("preloaded");
    let mut cc = Command::new("cc");
    cc.args(["-fno-builtin", "-w", "-DONLY=free(__libc_malloc(10))"])
        .arg(support::workspace().join("tests/c/loading/names.c"))
        .arg("-o")
        .arg(&program);
    assert!(finished(&mut cc, "gcc").status.success());
    let preload = [("LD_PRELOAD", SHARED.to_str().unwrap())];
    let (ended, _) = lab.run(&program, &preload, &[]);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("right\n", ""), "{ended:?}");
}

#[test]
fn a_static_program_may_use_any_name() {
    let lab = Lab::new();
    let archive = SHARED.with_file_name("libdrystone.a");
    for how in ["-static", "-static-pie"] {
        for only in ONLY.into_iter().chain(["mallinfo()"]) {
            let program = lab.folder().join("only");
            let mut cc = Command::new("cc");
            cc.args(["-std=gnu17", "-fno-builtin", "-w", how])
                .arg(format!("-DONLY={only}"))
                .arg(support::workspace().join("tests/c/loading/names.c"))
                .arg(&archive)
                .arg("-o")
                .arg(&program);
            let said = finished(&mut cc, "gcc and libc6-dev");
            assert!(said.status.success(), "{how}, {only}: {}", said.stderr);
            let (ended, account) = lab.run(&program, &[], &[]);
            assert!(ended.status.success(), "{how}, {only}: {ended:?}");
            assert_eq!(ended.stdout, "right\n", "{how}, {only}");
            assert!(account.is_some(), "{how}, {only}: the library served it");
        }
    }
}

//! Kernels whose pages are larger than 4 KiB: 64 KiB on aarch64 is the largest that Linux has.

use std::process::Command;

use crate::lab::{Lab, Linked, SHARED, finished};
use crate::support;

#[test]
fn nothing_is_lost_on_a_kernel_with_pages_of_64_kib() {
    let lab = Lab::new();
    let kernel = lab.folder().join("large_pages.so");
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu17", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"])
        .arg(support::workspace().join("tests/c/memory/large_pages.c"))
        .arg("-o")
        .arg(&kernel);
    let said = finished(&mut cc, "gcc");
    assert!(said.status.success(), "{}", said.stderr);
    let program = lab.compile("tests/c/memory/give_back.c", Linked::Plain);
    for pages in [None, Some(kernel.to_str().unwrap())] {
        let preload: Vec<_> = pages.into_iter().chain([SHARED.to_str().unwrap()]).collect();
        let preload = preload.join(":");
        for quarantine in ["0", "5K", "1M"] {
            let environment = [
                ("LD_PRELOAD", &*preload),
                ("DRYSTONE_QUARANTINE", quarantine),
                ("DRYSTONE_ON_MISUSE", "report"),
            ];
            let twice = if quarantine == "1M" { &["twice"][..] } else { &[] };
            let (ended, account) = lab.run(&program, &environment, twice);
            assert_eq!(ended.stdout, "right\n", "{environment:?}: {ended:?}");
            let found: Vec<_> = ended.stderr.lines().collect();
            assert_eq!(found.len(), twice.len(), "{environment:?}: {ended:?}");
            assert!(found.iter().all(|line| line.contains("double free")), "{ended:?}");
            let account = account.expect("the library served it");
            assert_eq!(account.text("sound"), "true", "{environment:?}: {account:?}");
        }
    }
}

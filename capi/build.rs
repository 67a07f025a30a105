//! Linker options of the shared library.

/// C++'s operators, which the library defines as `drystone_Znwm` and so on: only the shared one has
/// them under their names. The sized deletes have theirs in the archive too, and stand not here.
const OPERATORS: [&str; 16] = [
    "_Znwm",
    "_Znam",
    "_ZnwmRKSt9nothrow_t",
    "_ZnamRKSt9nothrow_t",
    "_ZnwmSt11align_val_t",
    "_ZnamSt11align_val_t",
    "_ZnwmSt11align_val_tRKSt9nothrow_t",
    "_ZnamSt11align_val_tRKSt9nothrow_t",
    "_ZdlPv",
    "_ZdaPv",
    "_ZdlPvRKSt9nothrow_t",
    "_ZdaPvRKSt9nothrow_t",
    "_ZdlPvSt11align_val_t",
    "_ZdaPvSt11align_val_t",
    "_ZdlPvSt11align_val_tRKSt9nothrow_t",
    "_ZdaPvSt11align_val_tRKSt9nothrow_t",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=DRYSTONE_SONAME");
    // Programs that link to it ask the loader for this name, wherever the file lay at link time. An
    // installation gives the name a version (see Makefile); in the target folder there is one file.
    let soname = std::env::var("DRYSTONE_SONAME").unwrap_or_else(|_| "libdrystone.so".to_owned());
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,{soname}");
    // Blocks and fork handlers outlive any `dlclose`: the code that takes them back must stay.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    for operator in OPERATORS {
        println!("cargo:rustc-cdylib-link-arg=-Wl,--defsym={operator}=drystone{operator}");
    }
    for name in ["_exit", "_Exit"] {
        println!("cargo:rustc-cdylib-link-arg=-Wl,--defsym={name}=drystone_leave");
    }
    // Without the standard library nothing else names the C library that it needs.
    println!("cargo:rustc-cdylib-link-arg=-lc");
}

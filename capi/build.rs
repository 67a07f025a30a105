//! Linker options of the shared library.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=DRYSTONE_SONAME");
    // Programs that link to it ask the loader for this name, wherever the file lay at link time. An
    // installation gives the name a version (see Makefile); in the target folder there is one file.
    let soname = std::env::var("DRYSTONE_SONAME").unwrap_or_else(|_| "libdrystone.so".to_owned());
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,{soname}");
    // Blocks and fork handlers outlive any `dlclose`: the code that takes them back must stay.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // Without the standard library nothing else names the C library that it needs.
    println!("cargo:rustc-cdylib-link-arg=-lc");
}

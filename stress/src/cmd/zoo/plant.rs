//! A copy of the allocator's source with every fault in it, of which the environment chooses one at
//! run time; and the library that it makes.
//!
//! ```text
//! target/zoo/tree    src, capi, Cargo.toml: patched; list: ListHeap behind the C interface
//! target/zoo/build   cargo's target folder for it
//! target/zoo/list    the second library, under the name by which it says what it promises
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

use crate::cmd::zoo::faults::{Fault, Patch, TWINS_FILE};

/// The variable that names the fault that is planted. Not one of the allocator's own, of which it
/// would say that it does not know it.
pub(super) const VARIABLE: &str = "ZOO_FAULT";

/// What the patches call.
const ZOO: &str = r#"//! Written by `cargo stress zoo`: which fault is planted in this process.
#![allow(missing_docs)]

use core::sync::atomic::{AtomicU32, Ordering};

static ACTIVE: AtomicU32 = AtomicU32::new(u32::MAX);
static CALLS: AtomicU32 = AtomicU32::new(0);

#[inline(always)]
pub fn active(number: u32) -> bool {
    match ACTIVE.load(Ordering::Relaxed) {
        u32::MAX => read() == number,
        active => active == number,
    }
}

#[cold]
fn read() -> u32 {
    if !crate::process::environment::is_known() {
        return 0;
    }
    let mut number = 0;
    // SAFETY: the name is a C string, and so is what is returned, if it is not null.
    unsafe {
        let mut text = libc::getenv(c"ZOO_FAULT".as_ptr());
        while !text.is_null() && (*text as u8).is_ascii_digit() {
            number = number * 10 + u32::from(*text as u8 - b'0');
            text = text.add(1);
        }
    }
    ACTIVE.store(number, Ordering::Relaxed);
    number
}

pub fn now_and_then(one_in: u32) -> bool {
    CALLS.fetch_add(1, Ordering::Relaxed) % one_in == one_in - 1
}

pub fn sleep(milliseconds: u32) {
    // SAFETY: takes any number.
    unsafe { libc::usleep(milliseconds * 1000) };
}

pub fn spin(milliseconds: u64) {
    let now = || {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the time is writable.
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
        time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
    };
    let end = now() + milliseconds;
    while now() < end {}
}
"#;

/// The libraries with all faults.
#[derive(Debug)]
pub(super) struct Libraries {
    /// `libdrystone.so`.
    pub drystone: PathBuf,
    /// The same of `ListHeap`.
    pub list: PathBuf,
}

/// The package of the second library.
const LIST: &str = "[package]\nname = \"zoo-list\"\nedition.workspace = true\n\n\
    [lib]\ncrate-type = [\"cdylib\"]\n\n\
    [dependencies]\ndrystone = { path = \"..\" }\nlibc.workspace = true\n";

const LIST_SOURCE: &str = include_str!("../../../zoo/list.rs");

/// Builds the libraries with all faults.
///
/// # Errors
/// A patch no longer applies, or the copy does not build.
pub(super) fn build(root: &Path, faults: &[Fault]) -> Result<Libraries> {
    let tree = root.join("target/zoo/tree");
    let files = patched(root, faults)?;
    let mut there = BTreeMap::new();
    for folder in ["src", "capi"].iter().filter(|folder| tree.join(folder).is_dir()) {
        take(&tree, Path::new(folder), &mut there)?;
    }
    for stale in there.keys().filter(|name| !files.contains_key(*name)) {
        fs::remove_file(tree.join(stale))?;
    }
    for (name, text) in files {
        let path = tree.join(&name);
        // Left alone where it is the same, so that cargo builds nothing anew.
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            continue;
        }
        fs::create_dir_all(path.parent().unwrap_or(&tree))?;
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    let target = root.join("target/zoo/build");
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--package", "drystone-capi", "--package", "zoo-list"])
        .current_dir(&tree)
        .env("CARGO_TARGET_DIR", &target)
        // Built in seconds; what it is worth in speed nobody asks.
        .envs([
            ("CARGO_PROFILE_RELEASE_LTO", "false"),
            ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
        ])
        .env("RUSTFLAGS", "--cap-lints=allow")
        .status()
        .context("starting cargo")?;
    if !status.success() {
        bail!("the source with its faults does not build: mend the patch that cargo names");
    }
    let list = root.join("target/zoo/list/libdrystone.so");
    fs::create_dir_all(root.join("target/zoo/list"))?;
    fs::copy(target.join("release/libzoo_list.so"), &list).context("the library of ListHeap")?;
    Ok(Libraries { drystone: target.join("release/libdrystone.so"), list })
}

/// The files of the copy, by their names below its root.
///
/// # Errors
/// A patch no longer applies.
pub(super) fn patched(root: &Path, faults: &[Fault]) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for folder in ["src", "capi"] {
        take(root, Path::new(folder), &mut files)?;
    }
    for fault in faults {
        let Some(Patch { file, search, replace }) = &fault.patch else { continue };
        let original = fs::read_to_string(root.join(file)).unwrap_or_default();
        let text = files.get_mut(file).filter(|_| original.matches(search.as_str()).count() == 1);
        let Some(text) = text else {
            bail!(
                "fault {} no longer applies: {file} must hold its `search` once; mend it in \
                 {}.toml below stress/zoo/faults",
                fault.name,
                fault.layer
            );
        };
        // The last: where another fault has been planted, its own text stands before.
        let Some(at) = text.rfind(search.as_str()) else {
            bail!("fault {} meets another in {file}: give it a smaller `search`", fault.name);
        };
        let zoo = if file.starts_with("capi/") { "engine::zoo" } else { "crate::zoo" };
        let planted =
            planted(zoo, fault.number, search, &replace.replace("zoo::", &format!("{zoo}::")));
        text.replace_range(at..at + search.len(), &planted);
    }
    files.insert("src/zoo.rs".to_owned(), ZOO.to_owned());
    let library = files.get_mut("src/lib.rs").context("src/lib.rs")?;
    *library += "\n#[doc(hidden)]\npub mod zoo;\n";
    twins(&mut files)?;
    for (name, members) in [("Cargo.toml", true), ("capi/Cargo.toml", false)] {
        let text = fs::read_to_string(root.join(name)).context(name)?;
        files.insert(name.to_owned(), manifest(&text, members).context(name)?);
    }
    files.insert("list/Cargo.toml".to_owned(), LIST.to_owned());
    files.insert("list/src/lib.rs".to_owned(), LIST_SOURCE.to_owned());
    let lock = fs::read_to_string(root.join("Cargo.lock")).context("Cargo.lock")?;
    files.insert("Cargo.lock".to_owned(), lock);
    Ok(files)
}

/// What stands in a patch for the question whether it is planted.
const ASKS: &str = "ACTIVE";

/// The source with a fault in it: both ways, and the question.
fn planted(zoo: &str, number: u32, search: &str, replace: &str) -> String {
    let question = format!("{zoo}::active({number})");
    // It asks itself.
    if replace.contains(ASKS) {
        return replace.replace(ASKS, &question);
    }
    // What opens a block, or closes one it did not open, is chosen by its condition.
    if let (Some(own), Some(other)) = (condition(search), condition(replace)) {
        let ((before, own, rest), (_, other, _)) = (own, other);
        return format!("{before}if if {question} {{ {other} }} else {{ {own} }} {{{rest}");
    }
    if let Some(rest) = search.strip_prefix("let ") {
        if let Some((name, value)) = rest.split_once(" = ")
            && let Some((first, faulty)) = replace.rsplit_once(&format!("let {name} = "))
            && !value.contains(" else {")
            && !value.trim_end().ends_with('{')
        {
            let (value, faulty) = (value.trim_end_matches(';'), faulty.trim_end_matches(';'));
            return format!(
                "let {name} = if {question} {{ {first} {faulty} }} else {{ {value} }};"
            );
        }
        // What comes before it only.
        let first = replace.strip_suffix(search).unwrap_or(replace);
        return format!("if {question} {{ {first} }} {search}");
    }
    if let Some(first) = replace.strip_suffix(search) {
        return format!("if {question} {{ {first} }} {search}");
    }
    let open = |text: &str| text.trim_end().ends_with(['{', '(']);
    match (open(search), search.trim_end().ends_with(';')) {
        (true, _) => call(&question, search, replace),
        (false, true) => format!("if {question} {{ {replace} }} else {{ {search} }}"),
        (false, false) => format!("(if {question} {{ {replace} }} else {{ {search} }})"),
    }
}

/// `if CONDITION {` and what follows it.
fn condition(text: &str) -> Option<(&str, &str, &str)> {
    let from = text.find("if ").filter(|&at| text[..at].trim().is_empty())?;
    let open = text.rfind(" {")?;
    (!text.contains("if let ")).then(|| (&text[..from], &text[from + 3..open], &text[open + 2..]))
}

/// A text that ends in the middle: `for x in EXPRESSION {`, or `CALL.filter(`.
fn call(question: &str, search: &str, replace: &str) -> String {
    let part = |text: &str| -> Option<(String, String, String)> {
        if let Some((head, rest)) = text.split_once(" in ") {
            let body = rest.trim_end().strip_suffix('{')?;
            return Some((format!("{head} in "), body.trim().to_owned(), " {".to_owned()));
        }
        let (body, method) = text.rsplit_once('.')?;
        Some((String::new(), body.to_owned(), format!(".{method}")))
    };
    match (part(search), part(replace)) {
        (Some((head, own, tail)), Some((_, other, _))) => {
            format!("{head}(if {question} {{ {other} }} else {{ {own} }}){tail}")
        }
        _ => format!("if {question} {{ {replace} }} else {{ {search} }}"),
    }
}

/// Has the source's own places for the models' twins ask the environment too.
fn twins(files: &mut BTreeMap<String, String>) -> Result<()> {
    const NEVER: &str = "pub(crate) const fn planted(_: Fault) -> bool {\n    false\n}";
    const ASKED: &str = "pub(crate) fn planted(fault: Fault) -> bool {\n    \
                         crate::zoo::active(1000 + fault as u32)\n}";
    let text = files.get_mut(TWINS_FILE).context(TWINS_FILE)?;
    if !text.contains(NEVER) {
        bail!("{TWINS_FILE}: `planted` is another outside loom: change plant.rs");
    }
    *text = text.replace(NEVER, ASKED);
    Ok(())
}

/// All text files below a folder, without what tests and builds leave.
fn take(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) -> Result<()> {
    let entries = fs::read_dir(root.join(folder)).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            take(root, &path, files)?;
        } else if let Ok(text) = fs::read_to_string(root.join(&path)) {
            files.insert(path.to_string_lossy().into_owned(), text);
        }
    }
    Ok(())
}

/// A package's manifest without its tests, and the workspace's with the C interface alone.
fn manifest(text: &str, is_workspace: bool) -> Result<String> {
    let mut manifest: Table = text.parse()?;
    for gone in ["dev-dependencies", "test", "bench", "example", "lints"] {
        manifest.remove(gone);
    }
    if let Some(Value::Table(workspace)) = manifest.get_mut("workspace") {
        workspace.insert("members".to_owned(), Value::Array(vec!["capi".into(), "list".into()]));
        workspace.remove("default-members");
        // Cargo warns of each package that has settings and is not there.
        let profiles = manifest.get_mut("profile").and_then(Value::as_table_mut);
        for profile in profiles.into_iter().flat_map(|all| all.iter_mut()) {
            profile.1.as_table_mut().map(|profile| profile.remove("package"));
        }
    } else if is_workspace {
        bail!("the root's manifest has no workspace");
    }
    Ok(toml::to_string(&manifest)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_wrapped_as_what_it_is() {
        let wrapped = |search, replace| planted("zoo", 7, search, replace);
        assert_eq!(wrapped("a + b", "a - b"), "(if zoo::active(7) { a - b } else { a + b })");
        assert_eq!(wrapped("a();", "b();"), "if zoo::active(7) { b(); } else { a(); }");
        assert_eq!(
            wrapped("let x = a();", "let x = b();"),
            "let x = if zoo::active(7) {  b() } else { a() };"
        );
        assert_eq!(wrapped("if a {", "if b {"), "if if zoo::active(7) { b } else { a } {");
        assert_eq!(
            wrapped("let Some(x) = y else { z };", "w(); let Some(x) = y else { z };"),
            "if zoo::active(7) { w();  } let Some(x) = y else { z };"
        );
        assert_eq!(
            wrapped("for x in a {", "for x in b {"),
            "for x in (if zoo::active(7) { b } else { a }) {"
        );
    }
}

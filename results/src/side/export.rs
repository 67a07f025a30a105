//! A commit or a working tree, written into a folder of ours.
//!
//! Blobs are written as they are stored: no filter, no attribute, no hook and no sparse checkout
//! has a say. Afterwards git hashes each file that was written, and each must be what the commit
//! says.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::git::{Git, Source};

/// A file of a commit.
struct Entry {
    mode: String,
    hash: String,
    path: PathBuf,
}

/// Writes the source's files into `folder`, which must be empty.
///
/// # Errors
/// If one cannot be written, or is not what the commit says; if the source is no tree.
pub fn export(source: &Source, folder: &Path) -> Result<()> {
    match source {
        Source::Commit { git, hash } => commit(git, hash, folder),
        Source::Tree { git, .. } => tree(git, folder),
        Source::Folder(from) => copy(from, folder),
        Source::Archive(path) | Source::Library(path) => {
            bail!("{} is a file, not a tree to build", path.display())
        }
    }
}

fn commit(git: &Git, hash: &str, folder: &Path) -> Result<()> {
    let entries = entries(&git.bytes(&["ls-tree", "-r", "-z", "--full-tree", hash], None)?)?;
    let asked: String = entries.iter().map(|entry| format!("{}\n", entry.hash)).collect();
    let blobs = git.bytes(&["cat-file", "--batch"], Some(asked.into_bytes()))?;
    let mut rest = &blobs[..];
    for entry in &entries {
        let blob = next_blob(&mut rest).with_context(|| shown(&entry.path))?;
        write(folder, entry, blob)
            .with_context(|| format!("cannot write {}", shown(&entry.path)))?;
    }
    check(git, &entries, folder)
}

/// `<mode> <type> <hash>\t<path>\0` each.
fn entries(listed: &[u8]) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for line in listed.split(|&byte| byte == 0).filter(|line| !line.is_empty()) {
        let tab = line.iter().position(|&byte| byte == b'\t').context("git ls-tree has no path")?;
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(&line[tab + 1..]));
        let fields = String::from_utf8_lossy(&line[..tab]).into_owned();
        let mut fields = fields.split(' ').map(str::to_owned);
        let (Some(mode), Some(kind), Some(hash)) = (fields.next(), fields.next(), fields.next())
        else {
            bail!("git ls-tree prints lines of another form");
        };
        // A submodule is another repository's commit; what is built here does without.
        if kind == "blob" {
            entries.push(Entry { mode, hash, path });
        }
    }
    ensure!(!entries.is_empty(), "the commit holds no file");
    Ok(entries)
}

/// `<hash> blob <size>\n<bytes>\n`, taken off the front.
fn next_blob<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8]> {
    let end = rest.iter().position(|&byte| byte == b'\n').context("git cat-file ended early")?;
    let head = String::from_utf8_lossy(&rest[..end]);
    let size = head.rsplit(' ').next().and_then(|size| size.parse::<usize>().ok());
    let size = size.with_context(|| format!("git says `{head}`: the repository lacks a file"))?;
    let blob = rest.get(end + 1..end + 1 + size).context("git cat-file ended early")?;
    *rest = rest.get(end + 2 + size..).unwrap_or_default();
    Ok(blob)
}

fn write(folder: &Path, entry: &Entry, blob: &[u8]) -> Result<()> {
    let path = folder.join(&entry.path);
    fs::create_dir_all(path.parent().context("a file has a folder")?)?;
    match entry.mode.as_str() {
        "120000" => symlink(std::ffi::OsStr::from_bytes(blob), &path)?,
        mode => {
            fs::write(&path, blob)?;
            let bits = if mode == "100755" { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(bits))?;
        }
    }
    Ok(())
}

/// Git hashes what was written, byte by byte and without filters; each must have the commit's hash.
fn check(git: &Git, entries: &[Entry], folder: &Path) -> Result<()> {
    let files: Vec<&Entry> = entries.iter().filter(|entry| entry.mode != "120000").collect();
    let mut asked = Vec::new();
    for entry in &files {
        ensure!(
            !entry.path.as_os_str().as_bytes().contains(&b'\n'),
            "a file's name has a line's end"
        );
        asked.extend_from_slice(folder.join(&entry.path).as_os_str().as_bytes());
        asked.push(b'\n');
    }
    let hashes = git.bytes(&["hash-object", "--no-filters", "--stdin-paths"], Some(asked))?;
    let hashes = String::from_utf8_lossy(&hashes);
    let mut hashes = hashes.lines();
    for entry in files {
        ensure!(
            hashes.next() == Some(&entry.hash),
            "{} is not what the commit says it is",
            shown(&entry.path)
        );
    }
    Ok(())
}

/// What git tracks and what it does not ignore, as it lies there; what a sparse checkout left out,
/// as the index has it.
fn tree(git: &Git, folder: &Path) -> Result<()> {
    let listed = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"];
    let listed = git.bytes(&listed, None)?;
    let sparse = git.bytes(&["ls-files", "-z", "-t", "--cached"], None)?;
    let sparse: std::collections::BTreeSet<&[u8]> =
        sparse.split(|&byte| byte == 0).filter_map(|line| line.strip_prefix(b"S ")).collect();
    for name in listed.split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let relative = Path::new(std::ffi::OsStr::from_bytes(name));
        let (from, to) = (git.root().join(relative), folder.join(relative));
        if fs::symlink_metadata(&from).is_ok() {
            copy_one(&from, &to).with_context(|| format!("cannot copy {}", shown(relative)))?;
        } else if sparse.contains(name) {
            fs::create_dir_all(to.parent().context("a file has a folder")?)?;
            let blob = git.bytes(&["cat-file", "blob", &format!(":{}", shown(relative))], None)?;
            fs::write(&to, blob)?;
        }
        // Else it was deleted: so it is in the copy.
    }
    Ok(())
}

/// A folder in no repository: all but what builds leave.
fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        if [".git", "target"].iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&to)?;
            copy(&entry.path(), &to)?;
        } else {
            copy_one(&entry.path(), &to)?;
        }
    }
    Ok(())
}

fn copy_one(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a file has a folder")?)?;
    let kind = fs::symlink_metadata(from)?.file_type();
    if kind.is_symlink() {
        symlink(fs::read_link(from)?, to)?;
    } else if kind.is_dir() {
        // A repository inside this one, untracked: not a part of it.
    } else {
        // Written anew, so that its date is of now: cargo and make go by dates.
        fs::write(to, fs::read(from)?)?;
        fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

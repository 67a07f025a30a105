//! From a name to a source.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::git::{Git, Source};

/// What `name` stands for: a file or folder if there is one, else a commit, branch or tag of the
/// repository around the current folder. `.` is the working tree.
///
/// # Errors
/// If it stands for nothing, or for a file that is no library.
pub fn resolve(name: &str) -> Result<Source> {
    let path = Path::new(name);
    let here = std::env::current_dir().context("the current folder is gone")?;
    if path.is_dir() && (name == "." || name.contains('/')) {
        return folder(path);
    }
    if path.is_file() {
        return file(path);
    }
    let git = Git::around(&here)?;
    if let Some(git) = git
        && let Some(hash) = git.commit(name)?
    {
        return Ok(Source::Commit { git, hash });
    }
    if path.is_dir() {
        return folder(path);
    }
    bail!(
        "`{name}` is no commit, branch or tag here, no folder, and no library: name one of these \
         (a branch of a remote: fetch it first; a file: with its path)"
    )
}

fn folder(path: &Path) -> Result<Source> {
    let path = path.canonicalize()?;
    Ok(match Git::around(&path)? {
        Some(git) => Source::Tree { hash: git.commit("HEAD")?, git },
        None => Source::Folder(path),
    })
}

fn file(path: &Path) -> Result<Source> {
    let shown = path.display();
    let path = path.canonicalize()?;
    let mut start = [0; 8];
    let mut file = std::fs::File::open(&path).with_context(|| format!("cannot open {shown}"))?;
    let read = std::io::Read::read(&mut file, &mut start)?;
    match &start[..read] {
        b"!<arch>\n" => Ok(Source::Archive(path)),
        [0x7f, b'E', b'L', b'F', ..] => Ok(Source::Library(path)),
        _ => bail!("{shown} is neither a shared library nor a static archive"),
    }
}

/// The side that B is compared with if no other is named: where the present commit left the main
/// branch.
///
/// # Errors
/// If this is no repository, it has no commit, or no main branch can be found.
pub fn default_a() -> Result<String> {
    let git = Git::around(&std::env::current_dir()?)?;
    let git =
        git.context("this folder is in no git repository: name two sides, such as two libraries")?;
    ensure!(git.commit("HEAD")?.is_some(), "this repository has no commit yet: commit first");
    for main in ["origin/HEAD", "main", "origin/main", "master", "origin/master"] {
        if git.commit(main)?.is_some() {
            let base = git.ask(&["merge-base", "HEAD", main]);
            let base = base
                .with_context(|| format!("HEAD and `{main}` have no common commit: name a side"))?;
            // Short: it is a name now.
            return git.ask(&["rev-parse", "--short", &base]);
        }
    }
    bail!("no main branch was found (main, master, or the remote's): name the side to compare with")
}

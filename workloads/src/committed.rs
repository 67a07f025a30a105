//! The traces that come with the harness, and those of them that are measured without being asked
//! for.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The traces that suites of measurements have among their rows. The others are measured where
/// their names are given: a suite that grew with the folder would take longer, and its means would
/// no longer be those of earlier ones.
pub const OF_THE_SUITES: [&str; 3] = ["cc1", "python-json", "sqlite"];

/// The traces are not there: what was to be measured would be less than it seems.
#[derive(Debug, Error)]
pub enum NoTraces {
    /// Their folder can't be read.
    #[error("{}: {error}", .folder.display())]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// What the OS says.
        error: io::Error,
    },
    /// Their folder holds none.
    #[error("{} holds no *.trace: check out the whole repository", .0.display())]
    Empty(PathBuf),
}

/// The names of all, in order, with their files.
///
/// # Errors
/// There are none.
pub fn all() -> Result<Vec<(String, PathBuf)>, NoTraces> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces");
    let unreadable = |error| NoTraces::Unreadable { folder: folder.clone(), error };
    let mut traces = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "trace") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            traces.push((name, path));
        }
    }
    if traces.is_empty() {
        return Err(NoTraces::Empty(folder));
    }
    traces.sort();
    Ok(traces)
}

#[test]
fn what_the_suites_name_is_there() {
    let all = all().unwrap();
    for name in OF_THE_SUITES {
        assert!(all.iter().any(|(known, _)| known == name), "{name}");
    }
}

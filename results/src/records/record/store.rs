//! Where records live: `results/store/<machine>/<commit>[-dirty][-<filter>][-partial].json`.
//!
//! Only the plain name, and the one with a filter, are ever looked up by commit. A dirty tree's
//! record never overwrites the commit's, one of chosen benchmarks never that of all, and one cut
//! short never a whole one; the latter two kinds are read only when given as a file.

use std::path::{Path, PathBuf};

use crate::machine::{Machine, fnv1a};

/// The folder of one machine's records.
pub struct Store {
    folder: PathBuf,
}

/// What a record's file name tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    /// The commit's full hash.
    pub commit: &'a str,
    /// Whether the tree differed from the commit.
    pub dirty: bool,
    /// The regular expression that chose the benchmarks.
    pub filter: Option<&'a str>,
    /// Whether fewer processes ran than were asked for.
    pub partial: bool,
}

impl Store {
    /// The records of `machine` in the workspace at `root`.
    pub fn new(root: &Path, machine: &Machine) -> Self {
        Self { folder: root.join("results/store").join(&machine.name) }
    }

    /// Where the record of this name is, or would be.
    pub fn path(&self, name: Name) -> PathBuf {
        let mut file = name.commit.to_owned();
        if name.dirty {
            file.push_str("-dirty");
        }
        if let Some(filter) = name.filter {
            // Filters hold characters that file names cannot.
            file.push_str(&format!("-{:08x}", fnv1a(filter.as_bytes()) >> 32));
        }
        if name.partial {
            file.push_str("-partial");
        }
        file.push_str(".json");
        self.folder.join(file)
    }

    /// The commit's record that holds the benchmarks `filter` chooses: one of exactly that filter,
    /// or else one of all benchmarks. None if there is neither.
    pub fn find(&self, commit: &str, filter: Option<&str>) -> Option<PathBuf> {
        let path = |filter| self.path(Name { commit, dirty: false, filter, partial: false });
        [path(filter), path(None)].into_iter().find(|path| path.is_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_kind_of_record_overwrites_another() {
        let store = Store::new(Path::new("/w"), &Machine::new("CPU", 1, "x86_64", "6"));
        let mut paths = Vec::new();
        for dirty in [false, true] {
            for filter in [None, Some("list"), Some("system")] {
                for partial in [false, true] {
                    paths.push(store.path(Name { commit: "c0ffee", dirty, filter, partial }));
                }
            }
        }
        assert!(paths[0].starts_with("/w/results/store/"));
        assert!(paths[0].ends_with("c0ffee.json"), "{}", paths[0].display());
        let all = paths.len();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), all);
    }

    #[test]
    fn a_filter_finds_its_own_record_first_and_never_anothers() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path(), &Machine::new("CPU", 1, "x86_64", "6"));
        let path =
            |filter, partial| store.path(Name { commit: "c0ffee", dirty: false, filter, partial });
        let write = |path: &Path| std::fs::write(path, "").unwrap();
        std::fs::create_dir_all(path(None, false).parent().unwrap()).unwrap();

        write(&path(Some("list"), false));
        write(&path(None, true));
        assert_eq!(store.find("c0ffee", None), None);
        assert_eq!(store.find("c0ffee", Some("system")), None);
        assert_eq!(store.find("c0ffee", Some("list")), Some(path(Some("list"), false)));
        write(&path(None, false));
        assert_eq!(store.find("c0ffee", None), Some(path(None, false)));
        assert_eq!(store.find("c0ffee", Some("system")), Some(path(None, false)));
        assert_eq!(store.find("c0ffee", Some("list")), Some(path(Some("list"), false)));
        assert_eq!(store.find("beef", None), None);
    }
}

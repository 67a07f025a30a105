//! Allocators by the names that a command line and a campaign file give them: one grammar for all
//! tools.
//!
//! | written | means | who takes it |
//! |---|---|---|
//! | `system` | the C library's own, nothing preloaded | all |
//! | `drystone` | `libdrystone.so` of the release build, preloaded | all |
//! | `mimalloc`, `jemalloc` ... | a peer that `peers/build-libraries` built or the system has | all |
//! | `linked:list`, `linked:drystone` ... | a heap that is linked into the tool | tools that have it |
//! | `FILE` | a shared library, preloaded; its name is the file's | all |
//! | `NAME=FILE` | the same under another name | all |

use std::ffi::CStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use crate::library::{self, LibraryError};
use crate::text::suggest;

/// How the value of the option `--allocator` is shown by every tool.
pub const VALUE: &str = "NAME|FILE|NAME=FILE";

/// The old name of that option, which every tool still takes.
pub const OLD_OPTION: &str = "subject";

/// A text that means no allocator, or one that is not here.
#[derive(Debug, Error)]
pub enum AllocatorError {
    /// The OS does not say where this program is.
    #[error("this program's own path is not known: {0}")]
    OwnPath(std::io::Error),
    /// A library under the name of a linked heap.
    #[error("allocator {0}: a library is not linked in; give it a name without {LINKED}")]
    NotLinked(String),
    /// A peer that is not built.
    #[error("allocator {name} is not in {}: build it: peers/build-libraries", .target.display())]
    NoPeer {
        /// The peer.
        name: String,
        /// Where it was looked for.
        target: PathBuf,
    },
    /// A linked heap, for a tool that preloads.
    #[error(
        "allocator {0} is linked into cargo stress and can't be preloaded: take {DRYSTONE}, which \
         is libdrystone.so, or another shared library"
    )]
    NotPreloadable(String),
    /// Ours, which is not built; `instead` names another.
    #[error(
        "allocator {DRYSTONE} is release/libdrystone.so, which is not in {}: build it: cargo build \
         --release{instead}", .target.display()
    )]
    NotBuilt {
        /// Where it was looked for.
        target: PathBuf,
        /// What may be taken instead, as the end of the sentence.
        instead: String,
    },
    /// A name that nobody has, with a suggestion.
    #[error("{0}; or give the path of a shared library, or NAME=PATH")]
    Unknown(String),
    /// `=FILE`.
    #[error("allocator {0}: write a name before the equals sign")]
    NoName(String),
    /// Two of one name.
    #[error(
        "two allocators are called {0}: leave one out, or give it another name, --allocator \
         NAME=FILE"
    )]
    Twice(String),
    /// The library can't be used.
    #[error(transparent)]
    Library(#[from] LibraryError),
}

/// An allocator that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Allocator {
    /// As it is printed.
    pub name: String,
    /// What is preloaded; none for the C library's own, and for what is linked in.
    pub library: Option<PathBuf>,
    /// As whoever built it says.
    pub version: String,
}

/// Ours, as a shared library.
pub const DRYSTONE: &str = "drystone";
/// Begins the names of heaps that are linked into a tool.
pub const LINKED: &str = "linked:";
/// The C library's own allocator.
pub const SYSTEM: &str = "system";
/// What the ratios are to.
pub const MIMALLOC: &str = "mimalloc";

/// Peers in the order in which they are printed. Those that look for misuse come last.
pub const PEERS: [&str; 10] = [
    SYSTEM,
    MIMALLOC,
    "snmalloc",
    "rpmalloc",
    "jemalloc",
    "tcmalloc",
    "mimalloc-secure",
    "snmalloc-checks",
    "scudo",
    "hardened_malloc",
];

/// Where libraries are looked for.
#[derive(Clone, Debug)]
pub struct Folders {
    /// Cargo's target folder: `release/libdrystone.so`, `peers/*.so`.
    pub target: PathBuf,
    /// Where the system keeps its libraries.
    pub system: Vec<PathBuf>,
}

/// Debian's allocators, by file.
const DEBIAN: [(&str, &str); 3] = [
    (MIMALLOC, "libmimalloc.so.2"),
    ("jemalloc", "libjemalloc.so.2"),
    ("tcmalloc", "libtcmalloc_minimal.so.4"),
];

impl Folders {
    /// Those of this binary, which cargo put into a folder of its target folder.
    ///
    /// # Errors
    /// The OS does not say where the binary is.
    pub fn of_this_binary() -> Result<Self, AllocatorError> {
        let binary = std::env::current_exe().map_err(AllocatorError::OwnPath)?;
        let target = binary.ancestors().nth(2).unwrap_or(Path::new("target")).to_owned();
        let triplet = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        Ok(Self { target, system: vec![PathBuf::from(triplet), PathBuf::from("/usr/lib64")] })
    }

    /// All that are here: ours if it is built, the C library's, the peers.
    ///
    /// # Errors
    /// Says what to change.
    pub fn all(&self) -> Result<Vec<Allocator>, AllocatorError> {
        let mut names = vec![DRYSTONE.to_owned()];
        names.extend(PEERS.map(str::to_owned));
        let mut others: Vec<String> = self.built().into_iter().map(|(name, _)| name).collect();
        others.retain(|name| !names.contains(name));
        names.extend(others);
        let present = names.iter().filter(|name| self.library(name).is_some() || *name == SYSTEM);
        present.map(|name| self.named(name, &[])).collect()
    }

    /// The allocator that `text` means to a tool that preloads: a name, a path, or `NAME=PATH`.
    ///
    /// # Errors
    /// Says what to change.
    pub fn choose(&self, text: &str) -> Result<Allocator, AllocatorError> {
        self.resolve(text, &[])
    }

    /// The allocator that `text` means to a tool that has `linked` in it, which are names with
    /// [`LINKED`] before them, or are called as nothing else is.
    ///
    /// # Errors
    /// Says what to change.
    pub fn resolve(&self, text: &str, linked: &[&str]) -> Result<Allocator, AllocatorError> {
        if linked.contains(&text) {
            return Ok(Allocator::linked(text));
        }
        // Before names had it, `list` and `engine` stood for what nothing else is called.
        let prefixed = format!("{LINKED}{text}");
        if text != DRYSTONE && linked.contains(&prefixed.as_str()) {
            return Ok(Allocator::linked(&prefixed));
        }
        if let Some((name, path)) = text.split_once('=').filter(|(name, _)| !name.contains('/')) {
            if name.starts_with(LINKED) {
                return Err(AllocatorError::NotLinked(text.to_owned()));
            }
            return Allocator::library(name.to_owned(), path);
        }
        if library::is_path(text) {
            return Allocator::library(name_of(Path::new(text)), text);
        }
        self.named(text, linked)
    }

    fn named(&self, name: &str, linked: &[&str]) -> Result<Allocator, AllocatorError> {
        if name == SYSTEM {
            let version = format!("glibc {}", glibc_version());
            return Ok(Allocator { name: SYSTEM.to_owned(), library: None, version });
        }
        if let Some(library) = self.library(name) {
            return Allocator::library(name.to_owned(), &library.to_string_lossy());
        }
        if name == DRYSTONE {
            return Err(self.not_built(linked));
        }
        if PEERS.contains(&name) {
            let (name, target) = (name.to_owned(), self.target.clone());
            return Err(AllocatorError::NoPeer { name, target });
        }
        if name.starts_with(LINKED) && linked.is_empty() {
            return Err(AllocatorError::NotPreloadable(name.to_owned()));
        }
        let known = [&[DRYSTONE], &PEERS[..], linked].concat();
        Err(AllocatorError::Unknown(suggest::reject("allocator", name, &known)))
    }

    /// Why `drystone` is not here. The name once meant the heap that is linked in.
    fn not_built(&self, linked: &[&str]) -> AllocatorError {
        let heap = format!("{LINKED}{DRYSTONE}");
        let instead = match linked.contains(&heap.as_str()) {
            true => format!(", or take {heap}, the heap that is linked into this tool"),
            false => String::new(),
        };
        AllocatorError::NotBuilt { target: self.target.clone(), instead }
    }

    /// Where the library of a name is.
    fn library(&self, name: &str) -> Option<PathBuf> {
        if name == DRYSTONE {
            return Some(self.target.join("release/libdrystone.so")).filter(|file| file.exists());
        }
        let built = self.built().into_iter().find(|(built, _)| built == name);
        if let Some((_, file)) = built {
            return Some(file);
        }
        let (_, debian) = DEBIAN.iter().find(|(debian, _)| *debian == name)?;
        self.system.iter().map(|folder| folder.join(debian)).find(|file| file.exists())
    }

    /// What `peers/build-libraries` made, by name.
    fn built(&self) -> Vec<(String, PathBuf)> {
        let Ok(entries) = fs::read_dir(self.target.join("peers")) else { return Vec::new() };
        let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut built: Vec<(String, PathBuf)> = files
            .filter(|file| file.extension().is_some_and(|extension| extension == "so"))
            .map(|file| (name_of(&file), file))
            .collect();
        built.sort();
        built
    }

    /// Names of peers that are not here.
    pub fn missing(&self) -> Vec<&'static str> {
        let here = |name: &&str| *name == SYSTEM || self.library(name).is_some();
        PEERS.into_iter().filter(|name| !here(name)).collect()
    }
}

impl Allocator {
    fn linked(name: &str) -> Self {
        Self { name: name.to_owned(), library: None, version: "linked in".to_owned() }
    }

    fn library(name: String, path: &str) -> Result<Self, AllocatorError> {
        if name.is_empty() {
            return Err(AllocatorError::NoName(path.to_owned()));
        }
        let library = library::library(path)?;
        let version = version_beside(&library).unwrap_or_else(|| "not known".to_owned());
        Ok(Self { name, library: Some(library), version })
    }
}

/// The allocators that are written so, each as `choose` reads it: no two have one name.
///
/// # Errors
/// Says what to change.
pub fn distinct<A, E: From<AllocatorError>>(
    texts: &[String],
    choose: impl Fn(&str) -> Result<A, E>,
    name: impl Fn(&A) -> &str,
) -> Result<Vec<A>, E> {
    let mut chosen: Vec<A> = Vec::new();
    for text in texts {
        let one = choose(text)?;
        if chosen.iter().any(|other| name(other) == name(&one)) {
            return Err(AllocatorError::Twice(name(&one).to_owned()).into());
        }
        chosen.push(one);
    }
    Ok(chosen)
}

/// `libjemalloc.so.2` is jemalloc, `target/peers/scudo.so` is scudo.
fn name_of(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.split(".so").next().unwrap_or_default();
    let stem = stem.strip_prefix("lib").filter(|rest| !rest.is_empty()).unwrap_or(stem);
    // As Debian calls gperftools' allocator without its profilers.
    if stem == "tcmalloc_minimal" { "tcmalloc".to_owned() } else { stem.to_owned() }
}

/// What the table beside a library says of it: name, tab, version, tab, more.
fn version_beside(library: &Path) -> Option<String> {
    let table = fs::read_to_string(library.parent()?.join("versions")).ok()?;
    let name = name_of(library);
    let line = table.lines().find(|line| line.split('\t').next() == Some(&name))?;
    line.split('\t').nth(1).map(str::to_owned)
}

fn glibc_version() -> String {
    // SAFETY: it returns a constant C string.
    let version = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) };
    version.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_after_their_allocators() {
        for (file, name) in [
            ("/usr/lib/libjemalloc.so.2", "jemalloc"),
            ("libtcmalloc_minimal.so.4.5.10", "tcmalloc"),
            ("target/peers/mimalloc-secure.so", "mimalloc-secure"),
            ("target/release/libdrystone.so", "drystone"),
            ("build/lib.so", "lib"),
        ] {
            assert_eq!(name_of(Path::new(file)), name);
        }
    }

    /// Names of a tool that has two heaps in it.
    const HEAPS: [&str; 2] = ["linked:list", "linked:drystone"];

    fn nowhere() -> Folders {
        Folders { target: PathBuf::from("/nowhere"), system: Vec::new() }
    }

    #[test]
    fn linked_heaps_and_libraries_are_told_apart_by_name() {
        let folders = nowhere();
        for text in ["linked:list", "list"] {
            let chosen = folders.resolve(text, &HEAPS).unwrap();
            assert_eq!((chosen.name.as_str(), chosen.library.as_ref()), ("linked:list", None));
        }
        // Of two things that were once called so, this is the library.
        let rejected = folders.resolve("drystone", &HEAPS).unwrap_err().to_string();
        assert!(rejected.contains("or take linked:drystone"), "{rejected}");
        let rejected = folders.choose("drystone").unwrap_err().to_string();
        assert!(!rejected.contains("linked:drystone"), "{rejected}");
        let rejected = folders.choose("linked:list").unwrap_err().to_string();
        assert!(rejected.contains("can't be preloaded"), "{rejected}");
        let rejected = folders.resolve("linked:lits", &HEAPS).unwrap_err().to_string();
        assert!(rejected.contains("Did you mean `linked:list`?"), "{rejected}");
        let rejected = folders.resolve("linked:x=/proc/self/exe", &HEAPS).unwrap_err().to_string();
        assert!(rejected.contains("is not linked in"), "{rejected}");
        assert_eq!(folders.resolve("system", &HEAPS).unwrap().library, None);
    }

    #[test]
    fn what_was_built_is_found_with_its_version() {
        let folder = tempfile::tempdir().unwrap();
        let peers = folder.path().join("peers");
        fs::create_dir(&peers).unwrap();
        for file in ["snmalloc.so", "other.so"] {
            // An ELF file for this machine, as a library is one.
            fs::copy("/proc/self/exe", peers.join(file)).unwrap();
        }
        fs::write(peers.join("versions"), "other\t1\tx\nsnmalloc\t0.7\tcrate\tflags\n").unwrap();
        let folders = Folders { target: folder.path().to_owned(), system: Vec::new() };
        let all = folders.all().unwrap();
        let seen: Vec<_> =
            all.iter().map(|one| (one.name.as_str(), one.version.as_str())).collect();
        assert_eq!(seen[0].0, "system");
        assert_eq!(seen[1..], [("snmalloc", "0.7"), ("other", "1")]);
        assert!(folders.missing().contains(&"mimalloc"));
        assert!(!folders.missing().contains(&"snmalloc"));
        let rejected = folders.choose("mimalloc").unwrap_err().to_string();
        assert!(rejected.contains("peers/build-libraries"), "{rejected}");
        let rejected = folders.choose("drystone").unwrap_err().to_string();
        assert!(rejected.contains("cargo build --release"), "{rejected}");
        let rejected = folders.choose("mimaloc").unwrap_err().to_string();
        assert!(rejected.contains("Did you mean `mimalloc`?"), "{rejected}");
        let path = format!("old={}", peers.join("other.so").display());
        assert_eq!(folders.choose(&path).unwrap().name, "old");
    }
}

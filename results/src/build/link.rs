//! A fresh layout: an archive linked into a shared library with its functions in random order, by
//! the lld that comes with rustc.
//!
//! The order of functions decides which of them share cache lines and predictor entries, and moved
//! one row by 58 %. Drawn anew for each process it is averaged away. The alignment of blocks inside
//! a function is not: the compiler has fixed it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::artifact::Artifact;

/// What the library exports; the rest is bound inside it, as it is in a program.
const EXPORTS: &str = "{ global: malloc; free; calloc; realloc; aligned_alloc; posix_memalign; \
                       memalign; valloc; pvalloc; cfree; malloc_usable_size; reallocarray; \
                       reallocf; free_sized; free_aligned_sized; malloc_trim; mallinfo*; \
                       malloc_stats; mallopt; drystone_*; _Zn*; _Zd*; local: *; };\n";

/// Links archives.
#[derive(Debug)]
pub struct Linker {
    /// The folder with an `ld.lld`; none for the one in the path.
    lld: Option<PathBuf>,
    exports: PathBuf,
    flags: Vec<String>,
}

impl Linker {
    /// A linker that keeps its files in `folder`, and hands `flags` on.
    ///
    /// # Errors
    /// If there is no lld.
    pub fn new(folder: &Path, flags: &[String]) -> Result<Self> {
        let exports = folder.join("exports");
        fs::write(&exports, EXPORTS)?;
        let lld = of_rust();
        let plain = || Command::new("ld.lld").arg("--version").output().is_ok();
        ensure!(
            lld.is_some() || plain(),
            "no lld was found, neither rustc's own nor ld.lld: install lld, or compare shared \
             libraries"
        );
        Ok(Self { lld, exports, flags: flags.to_vec() })
    }

    /// Makes `output`, a file with an inode of its own: the archive linked in the order that `seed`
    /// gives, or a copy of the library. Returns whether the seed was used.
    ///
    /// # Errors
    /// If it does not link; with the linker's words.
    pub fn make(&self, artifact: &Artifact, seed: u64, output: &Path) -> Result<bool> {
        match artifact {
            Artifact::Library(path) => {
                fs::copy(path, output)
                    .with_context(|| format!("cannot copy {}", path.display()))?;
                Ok(false)
            }
            Artifact::Archive(path) => self.link(path, seed, output).map(|()| true),
        }
    }

    fn link(&self, archive: &Path, seed: u64, output: &Path) -> Result<()> {
        let mut cc = Command::new("cc");
        if let Some(lld) = &self.lld {
            cc.arg(format!("-B{}", lld.display()));
        }
        // lld reads 32 bits, and takes 2³²−1 for "reverse the order".
        let seed = seed & 0x7fff_ffff;
        cc.args(["-fuse-ld=lld", "-shared", "-nostartfiles", "-s", "-o"])
            .arg(output)
            .arg("-Wl,--whole-archive")
            .arg(archive)
            .args(["-Wl,--no-whole-archive", "-Wl,--gc-sections", "-Wl,-z,now"])
            // Nobody has all of the names.
            .arg("-Wl,--undefined-version")
            .arg(format!("-Wl,--version-script={}", self.exports.display()))
            .arg(format!("-Wl,--shuffle-sections=.text*={seed}"))
            .args(&self.flags)
            .arg("-lc");
        let done = cc.output().context("cannot run cc: install a C compiler, which links")?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            let first: Vec<&str> = said.lines().take(5).collect();
            bail!("{} does not link: {}", archive.display(), first.join("\n"));
        }
        Ok(())
    }
}

/// `lib/rustlib/<host>/bin/gcc-ld` below rustc's sysroot holds an `ld.lld`.
fn of_rust() -> Option<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let ask = |what: &[&str]| {
        let output = Command::new(&rustc).args(what).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let sysroot = ask(&["--print", "sysroot"])?;
    let version = ask(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "))?;
    let folder = Path::new(&sysroot).join("lib/rustlib").join(host).join("bin/gcc-ld");
    folder.join("ld.lld").exists().then_some(folder)
}

//! Known changes, planted into copies of an allocator's archive.
//!
//! The archive's `malloc` and `calloc` are renamed, and `plant.c` takes their names and calls them.
//! So a plant works for any allocator, and needs none of its source. The unchanged side passes
//! through the same code, with all numbers zero: the sides differ in the plant alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The source of the code in front.
const SOURCE: &str = include_str!("plant.c");

/// A plant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// Nothing.
    None,
    /// A loop of so many turns in one of 16 calls of malloc.
    Turns(u32),
    /// One block of so many is twice as large.
    Doubled(u32),
    /// One malloc of so many takes 2 µs more.
    Stalled(u32),
    /// One calloc of so many is not all zero.
    Dirty(u32),
    /// Code that is never called, and moves the rest.
    Padded,
}

impl Plant {
    fn flag(self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Turns(number) => Some(format!("-DTURNS={number}")),
            Self::Doubled(number) => Some(format!("-DDOUBLED={number}")),
            Self::Stalled(number) => Some(format!("-DSTALLED={number}")),
            Self::Dirty(number) => Some(format!("-DDIRTY={number}")),
            Self::Padded => Some("-DPADDED".to_owned()),
        }
    }

    /// A copy of the archive with this plant, as `name`.a in `folder`.
    ///
    /// # Errors
    /// If objcopy, ar or cc is missing, or fails on it.
    pub fn into_copy_of(self, archive: &Path, folder: &Path, name: &str) -> Result<PathBuf> {
        let copy = folder.join(format!("{name}.a"));
        let (source, object) = (folder.join("plant.c"), folder.join(format!("{name}-plant.o")));
        std::fs::write(&source, SOURCE)?;
        let renamed = ["malloc=planted_malloc", "calloc=planted_calloc"];
        let mut objcopy = Command::new("objcopy");
        for names in renamed {
            objcopy.arg(format!("--redefine-sym={names}"));
        }
        finish(objcopy.arg(archive).arg(&copy), "objcopy")?;
        let mut cc = Command::new("cc");
        cc.args(["-O2", "-fno-builtin", "-fPIC", "-ffunction-sections", "-c", "-o"]).arg(&object);
        finish(cc.args(self.flag()).arg(&source), "cc")?;
        finish(Command::new("ar").arg("rs").arg(&copy).arg(&object), "ar")?;
        Ok(copy)
    }
}

fn finish(command: &mut Command, name: &str) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {name}: plants need a C compiler and GNU binutils"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {}", said.trim());
    Ok(())
}

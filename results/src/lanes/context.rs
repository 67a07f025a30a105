//! What every lane is given.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::build::{Artifact, Linker, are_identical};
use crate::evidence::{Line, RowPlan, Settings, Writer};
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// A comparison under way.
pub struct Context<'a> {
    /// The sides themselves, and the libraries that are measured besides.
    pub libraries: Vec<Library>,
    /// Where libraries are put; gone at the end.
    pub scratch: PathBuf,
    /// Where what outlives the comparison is put: the folder of its evidence.
    pub kept: PathBuf,
    /// The recorded traces' scripts.
    pub scripts: PathBuf,
    /// How to measure.
    pub settings: &'a Settings,
    /// When the time lane has enough.
    pub until: Until,
    /// Where lines go.
    pub writer: &'a mut Writer,
    /// What stderr shows.
    pub progress: &'a mut Progress,
    /// Whether to stop.
    pub interrupt: &'a Interrupt,
    /// When measuring began.
    pub began: Instant,
    /// When it must end.
    pub deadline: Instant,
    /// The seed of everything.
    pub seed: u64,
    /// Lines written so far: what the report is made of.
    pub lines: Vec<Line>,
}

/// When the time lane has enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Each row has its verdict; decided rows are measured no further.
    Decided,
    /// So many processes, each with all rows.
    Processes(u32),
}

/// A library that is measured: A's build of it and B's.
#[derive(Debug)]
pub struct Library {
    /// The names of its rows begin with this; empty for the sides themselves.
    pub prefix: String,
    /// Its rows.
    pub rows: Vec<RowPlan>,
    /// Both builds.
    pub artifacts: [Artifact; 2],
    /// Links them.
    pub linker: Linker,
}

impl Library {
    /// Makes a shared library of a side's build, as [`Linker::make`].
    ///
    /// # Errors
    /// If it does not link.
    pub fn make(&self, side: usize, seed: u64, output: &Path) -> Result<bool> {
        self.linker.make(&self.artifacts[side], seed, output)
    }

    /// Whether both builds, linked in one and the same order, or as they are, are the same to a
    /// program.
    ///
    /// # Errors
    /// If one does not link, or can't be read.
    pub fn is_same(&self, folder: &Path) -> Result<bool> {
        let [a, b] = &self.artifacts;
        let libraries = [folder.join("identical-a.so"), folder.join("identical-b.so")];
        for (side, library) in libraries.iter().enumerate() {
            self.make(side, 1, library)?;
        }
        let alike = std::mem::discriminant(a) == std::mem::discriminant(b);
        Ok(alike && are_identical(&libraries[0], &libraries[1])?)
    }

    /// ` of NAME` for a library besides; nothing for the sides themselves.
    pub fn shown(&self) -> String {
        match self.prefix.strip_suffix('/') {
            Some(name) => format!(" of {name}"),
            None => String::new(),
        }
    }

    /// A row of its own, by the name that a child knows it by.
    pub fn bare(&self, row: &RowPlan) -> RowPlan {
        RowPlan { name: row.name[self.prefix.len()..].to_owned(), ..row.clone() }
    }
}

impl Context<'_> {
    /// Writes a line, and keeps it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep(&mut self, line: Line) -> Result<()> {
        self.writer.append(&line)?;
        self.lines.push(line);
        Ok(())
    }

    /// Seconds since measuring began.
    pub fn at_s(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Time that is left.
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

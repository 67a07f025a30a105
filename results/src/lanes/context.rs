//! What every lane is given.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::build::{Artifact, Linker};
use crate::evidence::{Line, Settings, Writer};
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// A comparison under way.
pub struct Context<'a> {
    /// Both sides.
    pub sides: [Measured; 2],
    /// Makes libraries of them.
    pub linker: &'a Linker,
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

/// A side that is measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// What is measured.
    pub artifact: Artifact,
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

//! A row: a check with a name and a source.

use crate::child::heap::Heap;
use crate::outcome::{Checked, Wrong};

/// A check.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// `topic/what`.
    pub name: &'static str,
    /// What must hold, or what is recorded.
    pub about: &'static str,
    /// Who asks for it: a standard's section, a man page.
    pub source: &'static str,
    /// How it is found out.
    pub check: Check,
}

/// How it is found out.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// It must hold.
    Judged(fn(&'static Heap) -> Checked),
    /// The sources leave it open: what the allocator does is recorded.
    Recorded(fn(&'static Heap) -> Result<String, Wrong>),
}

/// The row on what an allocator says, which is judged by what its process says too.
pub const SAYS_NOTHING: &str = "interface/says-nothing";

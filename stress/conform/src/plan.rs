//! What is to be done.

use std::time::Duration;

use crate::allocators::Allocator;
use crate::mistake::Mistake;
use crate::row::Row;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Who is judged.
    pub allocators: Vec<Allocator>,
    /// The rows of semantics.
    pub rows: Vec<&'static Row>,
    /// The mistakes, with their sizes and whether the mistake, its twin or both are wanted.
    pub mistakes: Vec<Scoring>,
    /// When a row is given up.
    pub deadline: Duration,
    /// Rows at once.
    pub jobs: usize,
}

/// A mistake's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scoring {
    /// Which.
    pub mistake: Mistake,
    /// Bytes of the block.
    pub size: usize,
    /// Whether it is made.
    pub made: bool,
    /// Whether its benign twin is.
    pub twin: bool,
}

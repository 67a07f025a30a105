//! A side of a comparison.

use crate::records::record::Record;

/// One side of a comparison.
#[derive(Clone, Debug)]
pub struct Side {
    /// What the user called it.
    pub name: String,
    /// Its figures.
    pub record: Record,
}

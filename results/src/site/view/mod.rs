//! The pages of a site, a file for each kind.
//!
//! | in | is |
//! |---|---|
//! | `index` | the summaries, and the way to all others |
//! | `summary` | how each allocator does in all rows together |
//! | `bench` | allocators beside each other: every row, its times, its memory, its slow calls |
//! | `stress` | a campaign of the stress tool |
//! | `text` | Markdown |
//! | `plot` | dots, curves and courses |

pub mod bench;
pub mod index;
mod plot;
pub mod stress;
mod summary;
pub mod text;

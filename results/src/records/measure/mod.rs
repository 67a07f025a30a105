//! Measuring: builds the benchmarks of one or two sides, runs them in processes of their own, and
//! returns criterion's raw samples. Decides nothing and prints nothing.

mod bench;
mod build;
mod criterion;
mod exported;
mod repository;
mod session;

pub use crate::interrupt::Interrupted;
pub use bench::{Built, CargoBench, Tree};
pub use build::{build, check_target, rustc_version};
pub use exported::Exported;
pub use repository::Repository;
pub use session::{Ended, Event, Measured, Plan, measure};

//! A run at one moment, as it is sampled over time.

use serde::{Deserialize, Serialize};

/// A run at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Seconds since the run began.
    pub seconds: f64,
    /// The child's process number: with another one memory begins anew.
    pub process: u32,
    /// Operations since the run began.
    pub operations: u64,
    /// Operations per second since the sample before.
    pub operations_per_second: f64,
    /// Bytes verified since the run began.
    pub verified_bytes: u64,
    /// Bytes asked for in live blocks.
    pub live_bytes: u64,
    /// Resident bytes, the harness's own taken off: no less than this, for of the harness's some
    /// are not resident.
    pub resident_bytes: u64,
    /// Resident bytes of the process, and bytes that the harness uses in it.
    pub process_bytes: u64,
    /// As above.
    pub harness_bytes: u64,
    /// The share of the resident bytes that is not live: what the allocator holds for itself, or
    /// can't use.
    pub fragmentation: f64,
    /// Page faults of the process without input or output.
    pub minor_faults: u64,
    /// Page faults of the process with.
    pub major_faults: u64,
}

//! One call: its arguments, its result, `errno`, and the bytes of the block.

pub(super) mod alignment;
pub(super) mod errno;
pub(super) mod limits;
pub(super) mod resize;
pub(super) mod usable;
pub(super) mod zero;
pub(super) mod zeroing;

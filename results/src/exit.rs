//! The exit codes of every subcommand.

/// Nothing is wrong, and it was shown.
pub const FINE: u8 = 0;

/// A regression.
pub const REGRESSION: u8 = 1;

/// Wrong usage, a side that does not build, or a failure of the tool.
pub const TOOL_FAILURE: u8 = 2;

/// It cannot be told.
pub const CANNOT_TELL: u8 = 3;

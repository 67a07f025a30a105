//! What the command lines of all tools share. It stands here because this is the package that all
//! tools use.

pub mod duration;
pub mod manual;
pub mod printing;

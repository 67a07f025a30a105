//! A caller's mistake, as a heap describes it.

use core::fmt;

/// A free, a resize or a question about a pointer that is not a live block of the heap, or a block
/// whose header somebody overwrote. The heap is as it was before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misuse {
    /// The kind of mistake.
    pub kind: MisuseKind,
    /// The pointer in question.
    pub address: usize,
    /// Usable bytes of the block that the pointer is, or is in; `None` where that is not known.
    pub size: Option<usize>,
    /// The state of that block.
    pub state: BlockState,
    /// When it was noticed.
    pub found: Found,
}

/// The kind of mistake that a caller made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MisuseKind {
    /// The pointer was a block once, and the block is free.
    DoubleFree,
    /// The pointer is inside a block, not its start.
    InteriorPointer,
    /// The pointer is in the heap's memory and not a multiple of 16: no block starts there.
    UnalignedPointer,
    /// The pointer is not in the heap's memory: a stack's, a static's, another heap's.
    ForeignPointer,
    /// The block's header does not bear its check value: something wrote past a neighbour's end, or
    /// into a free block.
    CorruptHeader,
    /// Something wrote into a freed block while it waited in the quarantine.
    WriteAfterFree,
    /// Something wrote beside a guarded block, on the block's own page.
    OutOfBounds,
    /// A free named a size or an alignment that the block can't have been asked for with.
    SizeMismatch,
}

/// The state of a block at the moment of a misuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockState {
    /// Allocated, and not freed since.
    Live,
    /// Free, and still the heap's.
    Free,
    /// Free, and its memory has gone back to the operating system.
    Returned,
    /// Not a block, or one whose header can't be believed.
    Unknown,
}

/// When a misuse was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Found {
    /// In the call that did it.
    AtCall,
    /// Afterwards: when the block was allocated again, at a sweep or at an exit.
    Late,
}

impl MisuseKind {
    /// The field's name for it, as messages and reports spell it.
    pub fn name(self) -> &'static str {
        match self {
            MisuseKind::DoubleFree => "double free",
            MisuseKind::InteriorPointer => "interior pointer",
            MisuseKind::UnalignedPointer => "unaligned pointer",
            MisuseKind::ForeignPointer => "foreign pointer",
            MisuseKind::CorruptHeader => "corrupt block header",
            MisuseKind::WriteAfterFree => "write after free",
            MisuseKind::OutOfBounds => "write out of bounds",
            MisuseKind::SizeMismatch => "size mismatch",
        }
    }
}

/// One line without its line break: what, the pointer, the block's state and size where they are
/// known, and when it was found.
impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_place(f)?;
        write!(f, ", found {}", self.found)
    }
}

impl Misuse {
    /// Writes the kind, the pointer, and the block's state and size where they are known.
    pub(crate) fn write_place(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:#x}", self.kind.name(), self.address)?;
        // A free block is described as it is now: its neighbours may have merged with it.
        match (self.state, self.size) {
            (BlockState::Live, Some(size)) => write!(f, ", in a live block of {size} bytes")?,
            (BlockState::Free, Some(size)) => write!(f, ", in a free block of {size} bytes")?,
            (BlockState::Returned, Some(size)) => {
                write!(f, ", in a block of {size} bytes, returned to the operating system")?;
            }
            (BlockState::Returned, None) => {
                write!(f, ", in memory returned to the operating system")?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// As in `found at the call`.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Found::AtCall => "at the call",
            Found::Late => "late",
        })
    }
}

impl core::error::Error for Misuse {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misuse_is_one_line() {
        let line = |kind, size, state, found| {
            Misuse { kind, address: 0x1000, size, state, found }.to_string()
        };
        use {BlockState::*, Found::*, MisuseKind::*};
        assert_eq!(
            line(DoubleFree, Some(112), Free, AtCall),
            "double free: 0x1000, in a free block of 112 bytes, found at the call"
        );
        assert_eq!(
            line(InteriorPointer, Some(64), Live, AtCall),
            "interior pointer: 0x1000, in a live block of 64 bytes, found at the call"
        );
        assert_eq!(
            line(DoubleFree, Some(64), Returned, AtCall),
            "double free: 0x1000, in a block of 64 bytes, returned to the operating system, found \
             at the call"
        );
        assert_eq!(
            line(CorruptHeader, None, Unknown, Late),
            "corrupt block header: 0x1000, found late"
        );
    }
}

//! A block and its header.
//!
//! A region is a row of blocks without gaps. Every block begins with 16 bytes of header, and the
//! heap returns the address just behind one:
//!
//! ```text
//!            0        4        8        12       16                         size
//!  live      | size   | before | status | check  | the caller's bytes ........ |
//!  free      | size   | before | status | check  | next   | back   | .......... |
//!                                                ^ a multiple of 16, the payload
//! ```
//!
//! | field | bytes | value |
//! |---|---|---|
//! | size | 4 | of the whole block, a multiple of 16, at least [`MIN_BLOCK`] |
//! | before | 4 | size of the block that ends where this one begins; 0 for a region's first |
//! | status | 4 | one of the words below |
//! | check | 4 | a keyed hash of the header's address and all its other fields, links included |
//! | next, back | 8 each | the neighbours in the free list of this size, or null |
//!
//! | status | the block is | becomes |
//! |---|---|---|
//! | `LIVE` | allocated | `FREE` by a free; `WIPED` by one that merges it into the block in front |
//! | `FREE` | in a free list | `LIVE` by an allocation; `WIPED` when a neighbour swallows it |
//! | `FRESH` | as `FREE`, and every byte behind the links is zero, as the OS gave it | as `FREE` |
//! | `WIPED` | no block any more; one began here | anything: its bytes are another block's |
//! | `END` | at every region's end: no block, an end to walks and merges | `END`, with another `before` |
//!
//! Nothing of a header is believed before its check value is; where the links are to be read for
//! that, the bytes are mapped whatever the status says, for [`END_BYTES`] are as many as the
//! smallest block's. The links lie in bytes that a stale pointer can write to, which is why the
//! check value covers them.

use core::ptr::{self, NonNull};

/// Bytes of a header, and the alignment of every block.
pub const HEADER: usize = 16;
/// The smallest block: a header and, when free, two links.
pub const MIN_BLOCK: usize = 32;

/// Bytes at a region's end that no block has: those of an `END` header, and room behind it for
/// links that are not there, since a program's overflow may write a free block's status over it.
pub const END_BYTES: usize = MIN_BLOCK;
/// The largest block, and so the largest region.
pub const MAX_BLOCK: usize = 16 << 18;

/// The header as it lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct Header {
    /// Bytes of the block, header included.
    pub size: u32,
    /// Bytes of the block before it in the region, or 0.
    pub before: u32,
    /// What the block is.
    pub status: Status,
    check: u32,
}

/// A status word. Words, not small numbers: memory that never was a header is unlikely to hold one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Status(u32);

impl Status {
    pub const LIVE: Status = Status(u32::from_be_bytes(*b"LIVE"));
    pub const FREE: Status = Status(u32::from_be_bytes(*b"FREE"));
    pub const FRESH: Status = Status(u32::from_be_bytes(*b"FRSH"));
    pub const WIPED: Status = Status(u32::from_be_bytes(*b"WIPE"));
    pub const END: Status = Status(u32::from_be_bytes(*b"END "));

    /// In a free list.
    pub fn is_free(self) -> bool {
        self == Status::FREE || self == Status::FRESH
    }
}

/// The links of a free block, right behind its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Links {
    /// The block listed before this one, of the same size.
    pub next: Option<Block>,
    /// The block listed after it.
    pub back: Option<Block>,
}

const _: () = assert!(size_of::<Header>() == HEADER);
const _: () = assert!(HEADER + size_of::<Links>() == MIN_BLOCK);

/// The address of a header in a mapped region. Whether a header is really there, [`Seal::read`]
/// says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Block(NonNull<Header>);

impl Block {
    /// The block whose header is at `address`.
    ///
    /// # Safety
    /// `address` is a multiple of 16, with 32 bytes of a mapped region from there on. Only the
    /// holder of the heap's lock touches those that are the heap's; a misbehaving program may write
    /// them too, or `address` may be inside a live block: then what is read is any bits, and is not
    /// believed.
    pub unsafe fn at(address: *mut u8) -> Block {
        // SAFETY: a mapped address is not null.
        Block(unsafe { NonNull::new_unchecked(address.cast()) })
    }

    /// The header's address.
    pub fn address(self) -> *mut u8 {
        self.0.as_ptr().cast()
    }

    /// The address handed to callers.
    pub fn payload(self) -> *mut u8 {
        self.address().wrapping_add(HEADER)
    }

    fn links(self) -> *mut Links {
        self.payload().cast()
    }
}

/// The heap's secret: writes headers so that [`Seal::read`] believes them.
#[derive(Clone, Copy, Debug)]
pub struct Seal {
    secret: [u64; 2],
}

impl Seal {
    pub const fn new(secret: u64) -> Seal {
        // Each operand of the hash's multiplications has a key of its own.
        let second = (secret ^ 0xA076_1D64_78BD_642F).wrapping_mul(0xE703_7ED1_A0B4_28DB);
        Seal { secret: [secret, second ^ second >> 32] }
    }

    /// The header at `block`, if one is there and it bears its check value.
    #[inline]
    pub fn read(self, block: Block) -> Option<(Header, Links)> {
        // SAFETY: `Block::at`: 16 mapped bytes, 16-aligned, ours to read. Any bits are a valid
        // Header.
        let header = unsafe { ptr::read(block.0.as_ptr()) };
        let links = if header.status.is_free() {
            // SAFETY: `Block::at`: 16 more mapped bytes. Any bits are valid Links.
            unsafe { ptr::read(block.links()) }
        } else {
            Links { next: None, back: None }
        };
        let believable = header.is_possible() && header.check == self.check(block, &header, &links);
        believable.then_some((header, links))
    }

    /// As [`read`](Self::read), where a block or the end of the region must be: one that was wiped
    /// is not believed.
    pub fn read_in_row(self, block: Block) -> Option<(Header, Links)> {
        self.read(block).filter(|(header, _)| header.status != Status::WIPED)
    }

    /// Writes the header of a block that is in no free list.
    pub fn write(self, block: Block, size: usize, before: usize, status: Status) {
        self.write_linked(block, size, before, status, Links { next: None, back: None });
    }

    /// Writes the header of any block; the links only where `status` has them.
    pub fn write_linked(
        self,
        block: Block,
        size: usize,
        before: usize,
        status: Status,
        links: Links,
    ) {
        let mut header = Header { size: size as u32, before: before as u32, status, check: 0 };
        header.check = self.check(block, &header, &links);
        // SAFETY: `Block::at`: 32 mapped bytes, 16-aligned; the header's are ours to write, and the
        // payload's of a free block.
        unsafe {
            ptr::write(block.0.as_ptr(), header);
            if status.is_free() {
                ptr::write(block.links(), links);
            }
        }
    }

    /// Marks that a block began at `block` and is now part of another, so that a second free of it
    /// can be told from the free of an interior pointer.
    pub fn wipe(self, block: Block) {
        self.write(block, 0, 0, Status::WIPED);
    }

    /// Two rounds of multiply and fold (after W. Yi's wyhash, 2019) over every field, both operands
    /// keyed, from the secret and the address: no accident passes but one in 2^32, no header copied
    /// elsewhere, and none that a program can make up. (One that it has read, it can put back where
    /// it was.)
    fn check(self, block: Block, header: &Header, links: &Links) -> u32 {
        let [first, second] = self.secret;
        let sizes = (header.size as u64) << 32 | header.before as u64;
        let place = block.address() as u64 ^ (header.status.0 as u64) << 17;
        let mut hash = fold(place ^ first, sizes ^ second);
        if header.status.is_free() {
            hash = fold(hash ^ address_of(links.next) ^ second, address_of(links.back) ^ first);
        }
        (hash ^ hash >> 32) as u32
    }
}

impl Header {
    /// Whether a heap writes such sizes with such a status at all.
    fn is_possible(&self) -> bool {
        let (size, before) = (self.size as usize, self.before as usize);
        let known = match self.status {
            Status::LIVE | Status::FREE | Status::FRESH => (MIN_BLOCK..=MAX_BLOCK).contains(&size),
            Status::WIPED | Status::END => size == 0,
            _ => false,
        };
        known && size.is_multiple_of(HEADER) && before.is_multiple_of(HEADER) && before <= MAX_BLOCK
    }
}

fn address_of(block: Option<Block>) -> u64 {
    block.map_or(0, |block| block.address() as u64)
}

fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    (product >> 64) as u64 ^ product as u64
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn buffer() -> Box<[u128; 8]> {
        Box::new([0; 8])
    }

    fn block(buffer: &mut [u128; 8], granule: usize) -> Block {
        // SAFETY: 16-aligned, and the callers leave 32 bytes behind it.
        unsafe { Block::at((&raw mut buffer[granule]).cast()) }
    }

    #[test]
    fn a_header_is_believed_as_written_and_no_other() {
        let mut memory = buffer();
        let seal = Seal::new(0x1234_5678_9ABC_DEF0);
        let here = block(&mut memory, 0);
        let links = Links { next: Some(block(&mut memory, 4)), back: None };
        seal.write_linked(here, 64, 32, Status::FREE, links);
        let (header, read) = seal.read(here).expect("what was written is believed");
        assert_eq!((header.size, header.before, read), (64, 32, links));

        for bit in 0..256 {
            let byte = here.address().wrapping_add(bit / 8);
            // SAFETY: within the buffer's first 32 bytes.
            unsafe { *byte ^= 1 << (bit % 8) };
            assert_eq!(seal.read(here), None, "bit {bit} flipped");
            // SAFETY: within the buffer's first 32 bytes.
            unsafe { *byte ^= 1 << (bit % 8) };
        }
        assert!(Seal::new(0x1234_5678_9ABC_DEF1).read(here).is_none(), "another heap's secret");
    }

    #[test]
    fn a_header_copied_elsewhere_is_not_believed() {
        let mut memory = buffer();
        let seal = Seal::new(7);
        seal.write(block(&mut memory, 0), 32, 0, Status::LIVE);
        memory[2] = memory[0];
        assert!(seal.read(block(&mut memory, 0)).is_some());
        assert!(seal.read(block(&mut memory, 2)).is_none());
    }

    /// A multiplication by zero forgets the other operand: no operand may be zero but by its key.
    #[test]
    fn constants_of_the_hash_are_no_header() {
        let mut memory = buffer();
        let words = [0, 0xA076_1D64_78BD_642F, 0xE703_7ED1_A0B4_28DB, u64::MAX];
        for secret in 1..100 {
            let seal = Seal::new(secret << 9);
            for status in [Status::LIVE, Status::FREE, Status::WIPED, Status::END] {
                for word in words {
                    let (size, before) = ((word >> 32) as u32, word as u32);
                    let links = Links { next: None, back: None };
                    let header = Header { size, before, status, check: 0 };
                    assert_ne!(seal.check(block(&mut memory, 0), &header, &links), 0, "{header:?}");
                }
            }
        }
    }

    #[test]
    fn zeroed_memory_is_no_header() {
        let mut memory = buffer();
        for secret in 0..1000 {
            assert!(Seal::new(secret << 13).read(block(&mut memory, 0)).is_none());
        }
    }
}

//! The packed form: what is kept, committed and replayed.
//!
//! Block numbers stand in place of addresses, and births are not written at all: a block's number
//! is the count of births before its own. All integers are little-endian; *varint* is LEB128, seven
//! bits to a byte, lowest first, the top bit set on all bytes but the last.
//!
//! ```text
//! header  0       8        12             16    24      28       32          40             48
//!         ┌───────┬────────┬──────────────┬─────┬───────┬────────┬───────────┬──────────────┬─ ─ ─
//!         │ magic │version │ command bytes│ ops │ blocks│ threads│ peak live │ foreign frees│
//!         └───────┴────────┴──────────────┴─────┴───────┴────────┴───────────┴──────────────┴─ ─ ─
//!         48             56      60        64       68     72         72 + n
//!         ─ ─ ┬──────────┬───────┬─────────┬────────┬──────┬──────────┬──────────────
//!             │ missed   │ holes │ stopped │ coding │ zero │ command, │ body: a zstd frame with its
//!             │ frees    │       │ (errno) │ 0 or 1 │      │ UTF-8    │ checksum (coding 1), or plain (0)
//!         ─ ─ ┴──────────┴───────┴─────────┴────────┴──────┴──────────┴──────────────
//!
//! one operation of the body, nothing but bytes:
//!
//!  bit 7   4  3      2    0
//!     ┌──────┬──────┬──────┐
//!     │ 0000 │ other│ kind │  then, if `other`: the thread's number (varint)
//!     └──────┴──────┴──────┘
//!      kind 0 malloc         size (varint)
//!           1 calloc         size (varint)
//!           2 aligned_alloc  log₂ of the alignment (one byte), size (varint)
//!           3 realloc        age of the block that ends (varint), size (varint)
//!           4 free           age of the block (varint)
//! ```
//!
//! *other* says that another thread acts than in the operation before (before the first: thread 0).
//! The *age* of a block is how many blocks were made after it, so what is freed soon has a small
//! one. Every field that follows from the body is checked against it.

use std::io::{ErrorKind, Read, Write};

use super::error::Problem;
use super::history::Walk;
use super::in_memory::{Gaps, Trace};
use super::op::{COMMAND_LIMIT, Kind, MAX_OPS, Op};

/// The first eight bytes of a packed trace.
pub const MAGIC: [u8; 8] = *b"DRYTRACE";
/// The version of the layout that this file describes.
pub const VERSION: u32 = 1;

const HEADER: usize = 72;
const OTHER_THREAD: u8 = 1 << 3;
/// zstd's slowest ordinary level: a trace is packed once and read for years.
const LEVEL: i32 = 19;

/// How the body is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// As it is. For a reader that may not call the C allocator, as zstd's C code does.
    Plain = 0,
    /// One zstd frame with its checksum.
    Zstd = 1,
}

/// Writes a whole packed trace.
pub(super) fn write(trace: &Trace, coding: Coding, out: &mut impl Write) -> std::io::Result<()> {
    out.write_all(&header(trace, coding))?;
    out.write_all(trace.command().as_bytes())?;
    let body = body(trace);
    match coding {
        Coding::Plain => out.write_all(&body),
        Coding::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(out, LEVEL)?;
            encoder.include_checksum(true)?;
            encoder.set_pledged_src_size(Some(body.len() as u64))?;
            encoder.write_all(&body)?;
            encoder.finish().map(|_| ())
        }
    }
}

fn header(trace: &Trace, coding: Coding) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &MAGIC);
    put(8, &VERSION.to_le_bytes());
    put(12, &(trace.command().len() as u32).to_le_bytes());
    put(16, &(trace.ops().len() as u64).to_le_bytes());
    put(24, &trace.blocks().to_le_bytes());
    put(28, &trace.threads().to_le_bytes());
    put(32, &trace.peak_live_bytes().to_le_bytes());
    put(40, &trace.gaps().foreign_frees.to_le_bytes());
    put(48, &trace.gaps().missed_frees.to_le_bytes());
    put(56, &trace.gaps().holes.to_le_bytes());
    put(60, &trace.gaps().stopped.to_le_bytes());
    put(64, &(coding as u32).to_le_bytes());
    header
}

fn body(trace: &Trace) -> Vec<u8> {
    let mut out = Vec::with_capacity(trace.ops().len() * 4);
    let (mut thread, mut births) = (0, 0);
    for op in trace.ops() {
        let other = if op.thread == thread { 0 } else { OTHER_THREAD };
        out.push(number(&op.kind) | other);
        if other != 0 {
            put_varint(&mut out, op.thread.into());
            thread = op.thread;
        }
        if let Kind::AlignedAlloc { align, .. } = op.kind {
            out.push(align.trailing_zeros() as u8);
        }
        if let Some(block) = op.kind.ended() {
            put_varint(&mut out, u64::from(births - 1 - block));
        }
        if let Some(size) = op.kind.size() {
            put_varint(&mut out, size as u64);
            births += 1;
        }
    }
    out
}

const fn number(kind: &Kind) -> u8 {
    match kind {
        Kind::Malloc { .. } => 0,
        Kind::Calloc { .. } => 1,
        Kind::AlignedAlloc { .. } => 2,
        Kind::Realloc { .. } => 3,
        Kind::Free { .. } => 4,
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// What the header claims; the body must bear it out.
#[derive(Debug, PartialEq, Eq)]
struct Claims {
    ops: u64,
    blocks: u32,
    threads: u32,
    peak_live_bytes: u64,
}

/// Reads what follows the magic.
pub(super) fn read(mut from: impl Read) -> Result<Trace, Problem> {
    let mut header = [0; HEADER];
    fill(&mut from, &mut header[8..12], "the header")?;
    let version = u32_at(&header, 8);
    if version != VERSION {
        let known = VERSION;
        return Err(Problem::UnknownVersion { form: "packed", found: version, known });
    }
    fill(&mut from, &mut header[12..], "the header")?;
    let claims = Claims {
        ops: u64_at(&header, 16),
        blocks: u32_at(&header, 24),
        threads: u32_at(&header, 28),
        peak_live_bytes: u64_at(&header, 32),
    };
    let gaps = Gaps {
        foreign_frees: u64_at(&header, 40),
        missed_frees: u64_at(&header, 48),
        holes: u32_at(&header, 56),
        stopped: u32_at(&header, 60),
    };
    if claims.ops > MAX_OPS as u64 {
        return Err(Problem::TooLong);
    }
    let command = read_command(&mut from, u32_at(&header, 12) as usize)?;
    let ops = match u32_at(&header, 64) {
        0 => read_ops(from, &claims)?,
        1 => {
            let decoder = zstd::stream::read::Decoder::new(from).map_err(damaged)?;
            read_ops(std::io::BufReader::new(decoder), &claims)?
        }
        other => return Err(Problem::Corrupt { what: format!("coding {other} does not exist") }),
    };
    Trace::assemble(command, ops, gaps)
}

fn read_command(from: &mut impl Read, bytes: usize) -> Result<String, Problem> {
    if bytes > COMMAND_LIMIT {
        return Err(Problem::Corrupt { what: format!("a command of {bytes} bytes") });
    }
    let mut command = vec![0; bytes];
    fill(from, &mut command, "the command")?;
    String::from_utf8(command)
        .map_err(|_| Problem::Corrupt { what: "the command is not UTF-8".to_owned() })
}

fn read_ops(mut from: impl Read, claims: &Claims) -> Result<Vec<Op>, Problem> {
    // The claim is not yet believed: memory grows with what is really there.
    let mut ops = Vec::with_capacity((claims.ops as usize).min(1 << 20));
    let mut walk = Walk::default();
    let mut thread = 0;
    for _ in 0..claims.ops {
        let op = read_op(&mut from, walk.blocks(), &mut thread)?;
        walk.step(&op)?;
        ops.push(op);
    }
    // At its end the decoder also verifies the checksum.
    let mut more = [0];
    match from.read(&mut more).map_err(damaged)? {
        0 => {}
        _ => return Err(Problem::Corrupt { what: format!("more than {} operations", claims.ops) }),
    }
    let totals = walk.totals();
    let found = Claims {
        ops: claims.ops,
        blocks: totals.blocks,
        threads: totals.threads,
        peak_live_bytes: totals.peak_live_bytes,
    };
    if found != *claims {
        return Err(Problem::Corrupt {
            what: format!("the header says {claims:?}, the body {found:?}"),
        });
    }
    Ok(ops)
}

fn read_op(from: &mut impl Read, births: u32, thread: &mut u32) -> Result<Op, Problem> {
    let head = byte(from)?;
    if head & OTHER_THREAD != 0 {
        *thread = u32::try_from(varint(from)?)
            .map_err(|_| Problem::Corrupt { what: "a thread number over 32 bits".to_owned() })?;
    }
    let kind = match head & !OTHER_THREAD {
        0 => Kind::Malloc { block: births, size: size(from)? },
        1 => Kind::Calloc { block: births, size: size(from)? },
        2 => {
            let align = 1usize.checked_shl(byte(from)?.into());
            let align = align
                .ok_or_else(|| Problem::Corrupt { what: "an alignment over 64 bits".to_owned() })?;
            Kind::AlignedAlloc { block: births, align, size: size(from)? }
        }
        3 => Kind::Realloc { from: aged(from, births)?, to: births, size: size(from)? },
        4 => Kind::Free { block: aged(from, births)? },
        other => {
            return Err(Problem::Corrupt {
                what: format!("operation kind {other} does not exist"),
            });
        }
    };
    Ok(Op { thread: *thread, kind })
}

fn size(from: &mut impl Read) -> Result<usize, Problem> {
    usize::try_from(varint(from)?)
        .map_err(|_| Problem::Corrupt { what: "a size over this machine's words".to_owned() })
}

fn aged(from: &mut impl Read, births: u32) -> Result<u32, Problem> {
    let age = varint(from)?;
    let block = u64::from(births).checked_sub(age.saturating_add(1));
    block.map(|block| block as u32).ok_or_else(|| Problem::Corrupt {
        what: format!("a block older than the trace (age {age})"),
    })
}

fn varint(from: &mut impl Read) -> Result<u64, Problem> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = byte(from)?;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            break;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Problem::Corrupt { what: "a number over 64 bits".to_owned() })
}

fn byte(from: &mut impl Read) -> Result<u8, Problem> {
    let mut byte = [0];
    fill(from, &mut byte, "the operations")?;
    Ok(byte[0])
}

/// Reads exactly `into`, or says what the file ended inside of.
pub(super) fn fill(
    from: &mut impl Read,
    into: &mut [u8],
    inside: &'static str,
) -> Result<(), Problem> {
    from.read_exact(into).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => Problem::Truncated { inside },
        _ => damaged(error),
    })
}

/// zstd reports damage as an I/O error; the system's own read errors mean no more to the reader.
pub(super) fn damaged(error: std::io::Error) -> Problem {
    Problem::Corrupt { what: error.to_string() }
}

/// The little-endian `u32` at `at`.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

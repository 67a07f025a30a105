//! Which words of a stack are return addresses, and in which file: as `/proc/thread-self/maps`
//! says. (`/proc/self/maps` is empty once the first thread has ended.)

use core::ffi::CStr;
use core::fmt::{self, Write};

use super::stack::{Stack, is_readable};
use crate::errno;
use crate::os::PAGE;
use crate::process::text::Plain;

/// Ranges of code that are known at once. Functions in others are left out.
const RANGES: usize = 400;
/// Of them, those without a file: code that a program has made for itself.
const MADE: usize = 100;
const NAMES: usize = 24 << 10;
const READ: usize = 4 << 10;

/// A range of code.
#[derive(Clone, Copy)]
struct Range {
    start: usize,
    end: usize,
    /// Where its file begins, or 0 if addresses in the file are those in memory.
    base: usize,
    /// Of its file, among the names.
    name: (usize, usize),
}

/// All code that the process has. Large: it lies in a mapping.
pub struct Modules {
    ranges: [Range; RANGES],
    count: usize,
    made: usize,
    names: [u8; NAMES],
    named: usize,
    read: [u8; READ],
    stack: Stack,
}

impl Modules {
    /// Makes a zeroed place hold what the process has now. Nothing where there is no `/proc`.
    pub fn fill(&mut self) {
        const MAPS: &CStr = c"/proc/thread-self/maps";
        errno::kept(|| {
            // SAFETY: a C string; the file is closed below.
            let file = unsafe {
                let flags = libc::O_RDONLY | libc::O_CLOEXEC;
                libc::syscall(libc::SYS_openat, libc::AT_FDCWD, MAPS.as_ptr(), flags)
            };
            if file >= 0 {
                self.read_lines(file);
                // SAFETY: opened above.
                unsafe { libc::syscall(libc::SYS_close, file) };
            }
        });
    }

    fn read_lines(&mut self, file: libc::c_long) {
        let (mut base, mut kept, mut skips) = (0, 0, false);
        loop {
            let room = READ - kept;
            // SAFETY: the bytes behind those that are kept are ours, and so many.
            let got = unsafe {
                let place = self.read.as_mut_ptr().add(kept);
                libc::syscall(libc::SYS_read, file, place, room)
            };
            let Some(got) = usize::try_from(got).ok().filter(|&got| got > 0) else { return };
            let filled = kept + got;
            let mut from = 0;
            while let Some(length) = self.read[from..filled].iter().position(|&b| b == b'\n') {
                if !skips {
                    self.line(from, from + length, &mut base);
                }
                skips = false;
                from += length + 1;
            }
            // A line that fills all the room is passed over, to its end.
            if from == 0 && filled == READ {
                (from, skips) = (filled, true);
            }
            self.read.copy_within(from..filled, 0);
            kept = filled - from;
        }
    }

    /// Takes a line in, `start-end rwxp offset device inode path`.
    fn line(&mut self, from: usize, to: usize, base: &mut usize) {
        let Some(line) = Line::parse(&self.read[from..to]) else { return };
        if line.offset == 0 {
            *base = if is_fixed_program(line.start) { 0 } else { line.start };
        }
        let Line { start, end, executable, path, .. } = line;
        let path = (from + path.0, from + path.1);
        let has_file = path.0 < path.1;
        let fits = self.count < RANGES && self.named + (path.1 - path.0) <= NAMES;
        if executable && fits && (has_file || self.made < MADE) {
            self.made += usize::from(!has_file);
            let name = (self.named, self.named + path.1 - path.0);
            self.names[name.0..name.1].copy_from_slice(&self.read[path.0..path.1]);
            self.named = name.1;
            self.ranges[self.count] = Range { start, end, base: *base, name };
            self.count += 1;
        }
    }

    fn range(&self, address: usize) -> Option<&Range> {
        self.ranges[..self.count].iter().find(|range| (range.start..range.end).contains(&address))
    }

    /// Whether a call ends at `address`.
    fn is_return(&self, address: usize) -> bool {
        const LONGEST: usize = 7;
        let address = stripped(address);
        let first = address.wrapping_sub(LONGEST);
        self.range(first).is_some_and(|range| {
            // It may have gone since the file was read.
            if address > range.end || !is_readable(first) {
                return false;
            }
            let mut before = [0; LONGEST];
            for (place, byte) in before.iter_mut().enumerate() {
                let code = core::ptr::with_exposed_provenance::<u8>(address - LONGEST + place);
                // SAFETY: a byte of code that could be read just now. A program that takes it away
                // in between has no stack with its address.
                *byte = unsafe { code.read_volatile() };
            }
            ends_with_call(&before)
        })
    }

    /// Writes the lines of a thread that is at `instruction`, with its stack at `top`.
    pub fn write_stack(
        &mut self,
        instruction: usize,
        top: usize,
        out: &mut impl Write,
    ) -> fmt::Result {
        // It may be any number.
        if is_readable(top) {
            self.stack.fill(instruction, top);
        } else {
            self.stack.only(instruction);
        }
        self.write(self.stack.words(), true, out)
    }

    /// Writes a line for each of `words` that is a return address, and for the first of them where
    /// `first` says that it is one of an instruction. Those of this library alone that come before
    /// any other are left out.
    pub fn write(&self, words: &[usize], first: bool, out: &mut impl Write) -> fmt::Result {
        const LINES: usize = 16;
        let ours = self.range(Modules::fill as *const () as usize);
        let is_ours = |range: &Range| {
            let name = &self.names[range.name.0..range.name.1];
            ours.is_some_and(|ours| ours.start == range.start)
                && name.windows(11).any(|part| part == b"libdrystone")
        };
        let mut lines = 0;
        for (place, &word) in words.iter().enumerate() {
            let is_first = first && place == 0;
            if !is_first && !self.is_return(word) {
                continue;
            }
            // The instruction, and not the one behind it: a call may be a function's last.
            let address = if is_first { word } else { stripped(word) - 1 };
            let Some(range) = self.range(address) else {
                writeln!(out, "    {address:#x}")?;
                lines += 1;
                continue;
            };
            if lines == 0 && !is_first && is_ours(range) {
                continue;
            }
            let name = Plain(&self.names[range.name.0..range.name.1]);
            writeln!(out, "    {name}+{:#x}", address - range.base)?;
            lines += 1;
            if lines == LINES {
                break;
            }
        }
        if lines == 0 { writeln!(out, "    (unknown)") } else { Ok(()) }
    }
}

/// A line of `/proc/thread-self/maps`.
struct Line {
    start: usize,
    end: usize,
    executable: bool,
    offset: usize,
    /// Where in the line the path is.
    path: (usize, usize),
}

impl Line {
    fn parse(line: &[u8]) -> Option<Line> {
        let (start, at) = hexadecimal(line, 0)?;
        let (end, at) = hexadecimal(line, at + 1)?;
        let rights = line.get(at + 1..at + 5)?;
        let (offset, at) = hexadecimal(line, at + 6)?;
        // Device, inode, and then spaces.
        let mut path = at;
        for _ in 0..3 {
            path += line.get(path..)?.iter().take_while(|&&byte| byte == b' ').count();
            if line.get(path).is_none_or(|&byte| byte == b'/' || byte == b'[') {
                break;
            }
            path += line.get(path..)?.iter().take_while(|&&byte| byte != b' ').count();
        }
        Some(Line {
            start,
            end,
            executable: rights[0] == b'r' && rights[2] == b'x',
            offset,
            path: (path, line.len()),
        })
    }
}

/// The number at `at`, and where it ends.
fn hexadecimal(line: &[u8], at: usize) -> Option<(usize, usize)> {
    let digits = line.get(at..)?.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let text = core::str::from_utf8(&line[at..at + digits]).ok()?;
    Some((usize::from_str_radix(text, 16).ok()?, at + digits))
}

/// Whether the program itself is mapped at `start`, and lies where it was linked for.
fn is_fixed_program(start: usize) -> bool {
    const EXECUTABLE: u16 = 2; // ET_EXEC
    // SAFETY: getauxval takes any number, and gives 0 for what the kernel did not tell.
    let headers = errno::kept(|| unsafe { libc::getauxval(libc::AT_PHDR) }) as usize;
    if headers.wrapping_sub(start) >= PAGE {
        return false;
    }
    let kind = core::ptr::with_exposed_provenance::<u16>(start + 16);
    // SAFETY: the program's own first page, since its headers lie there; its type is in the 17th
    // and 18th byte (ELF, figure 1-3).
    unsafe { kind.read_volatile() == EXECUTABLE }
}

/// A return address without the signature that aarch64 may have put into its high bits.
fn stripped(address: usize) -> usize {
    if cfg!(target_arch = "aarch64") { address & ((1 << 48) - 1) } else { address }
}

/// Whether the last of these bytes are a call's.
#[cfg(target_arch = "x86_64")]
fn ends_with_call(before: &[u8; 7]) -> bool {
    // Intel SDM, volume 2, CALL: E8 and four bytes; FF with 2 for its register field, and an
    // address of 0, 1 or 4 bytes, perhaps a scale byte.
    let indirect = |length: usize| {
        let at = 7 - length;
        let (mode, place) = (before[at + 1] >> 6, before[at + 1] & 7);
        let scaled = usize::from(mode != 3 && place == 4);
        let far = match mode {
            0 if place == 5 => 4,
            0 | 3 => 0,
            1 => 1,
            _ => 4,
        };
        before[at] == 0xFF && before[at + 1] >> 3 & 7 == 2 && 2 + scaled + far == length
    };
    before[2] == 0xE8 || (2..=7).any(indirect)
}

/// As above.
#[cfg(target_arch = "aarch64")]
fn ends_with_call(before: &[u8; 7]) -> bool {
    let [_, _, _, a, b, c, d] = *before;
    let word = u32::from_le_bytes([a, b, c, d]);
    // Arm ARM, C6.2: BL, BLR.
    word >> 26 == 0b100101 || word & 0xFFFF_FC1F == 0xD63F_0000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_maps_is_read() {
        let text = b"7f12-7f34 r-xp 00001000 fd:01 1234     /usr/lib/a b.so";
        let line = Line::parse(text).unwrap();
        assert_eq!((line.start, line.end, line.offset), (0x7f12, 0x7f34, 0x1000));
        assert!(line.executable && &text[line.path.0..line.path.1] == b"/usr/lib/a b.so");
        let text = b"7f12-7f34 rw-p 00000000 00:00 0 ";
        let line = Line::parse(text).unwrap();
        assert!(!line.executable && line.path.0 == line.path.1);
        let text = b"7ffc-7fff r-xp 00000000 00:00 0    [vdso]";
        let line = Line::parse(text).unwrap();
        assert_eq!(&text[line.path.0..line.path.1], b"[vdso]");
        assert!(Line::parse(b"nonsense").is_none());
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn calls_are_told_from_other_code() {
        for call in [
            &[0xE8, 1, 2, 3, 4][..],         // call near
            &[0xFF, 0xD0],                   // call rax
            &[0x41, 0xFF, 0xD3],             // call r11
            &[0xFF, 0x50, 0x18],             // call [rax+24]
            &[0xFF, 0x54, 0x24, 0x10],       // call [rsp+16]
            &[0xFF, 0x15, 1, 2, 3, 4],       // call [rip+…]
            &[0xFF, 0x94, 0x24, 1, 2, 3, 4], // call [rsp+…]
        ] {
            let mut bytes = [0x90; 7];
            bytes[7 - call.len()..].copy_from_slice(call);
            assert!(ends_with_call(&bytes), "{call:x?}");
        }
        for other in [[0x90; 7], [0, 0, 0, 0, 0x48, 0x89, 0xC7], [0, 0, 0, 0xFF, 0xD0, 0x90, 0x90]]
        {
            assert!(!ends_with_call(&other), "{other:x?}");
        }
    }
}

//! Texts of bounded length: a report must not allocate, and may have a small stack.

use core::fmt::{self, Write};

use crate::errno;
use crate::os::{Mmap, Os, PAGE};

/// A text in memory that somebody else has made room in.
#[derive(Debug)]
pub struct Text<'a> {
    room: &'a mut [u8],
    length: usize,
}

impl<'a> Text<'a> {
    /// No text yet, and room for as many bytes as `room` has.
    pub fn over(room: &'a mut [u8]) -> Text<'a> {
        Text { room, length: 0 }
    }

    /// The text so far: whole characters, unless [`cut`](Self::cut) had to part one.
    pub fn bytes(&self) -> &[u8] {
        self.room.get(..self.length).unwrap_or_default()
    }

    /// Adds as much of `part` as there is room for.
    pub fn cut(&mut self, part: &[u8]) {
        for (to, from) in self.room.iter_mut().skip(self.length).zip(part) {
            *to = *from;
            self.length += 1;
        }
    }

    /// Writes it to `file`: in one call, so that the lines of several processes do not mix, unless
    /// a signal interrupts it or the file takes less at a time; then the rest goes after it. False
    /// when not all of it arrived; `errno` says why.
    pub fn write_to(&self, file: i32) -> bool {
        let mut rest = self.bytes();
        while !rest.is_empty() {
            // The kernel's call, and not the C library's `write`: that is a cancellation point,
            // and `free` is none (pthreads(7)).
            // SAFETY: the bytes are initialised and live through the call.
            let written =
                unsafe { libc::syscall(libc::SYS_write, file, rest.as_ptr(), rest.len()) };
            match usize::try_from(written) {
                Ok(0) => return false,
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(_) if errno::get() == libc::EINTR => {}
                Err(_) => return false,
            }
        }
        true
    }
}

/// Fails, and adds nothing, when `part` does not fit.
impl Write for Text<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let end = self.length + part.len();
        let place = self.room.get_mut(self.length..end).ok_or(fmt::Error)?;
        place.copy_from_slice(part.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// A text from outside, in which every byte that a terminal or JSON would take for more than a
/// character is printed as a question mark.
#[derive(Debug)]
pub struct Plain<'a>(pub &'a [u8]);

impl core::fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        use core::fmt::Write;
        for &byte in self.0 {
            let plain = byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
            f.write_char(if plain { byte as char } else { '?' })?;
        }
        Ok(())
    }
}

/// Runs `f` on an empty text with room for `bytes` bytes, in a mapping of its own: for texts that
/// are too long for a small stack. `None` when there is no memory for it.
pub fn mapped<R>(bytes: usize, f: impl FnOnce(&mut Text<'_>) -> R) -> Option<R> {
    let bytes = bytes.next_multiple_of(PAGE);
    let start = Mmap.map(bytes);
    if start.is_null() {
        return None;
    }
    // SAFETY: a new mapping of `bytes` zeroed bytes, which nobody else knows.
    let room = unsafe { core::slice::from_raw_parts_mut(start, bytes) };
    let result = f(&mut Text::over(room));
    // SAFETY: the whole mapping; the text over it ended with the call above. If the OS fails to
    // take it back, it stays: a few pages.
    unsafe { Mmap.unmap(start, bytes) };
    Some(result)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_printed_plainly() {
        assert_eq!(Plain(b"A\"\\\x1b[1m\xff b").to_string(), "A???[1m??b");
    }

    #[test]
    fn a_text_takes_all_of_a_part_or_nothing_and_can_be_cut() {
        let mut room = [0; 8];
        let mut text = Text::over(&mut room);
        assert!(text.write_str("12345").is_ok());
        assert!(text.write_str("6789").is_err());
        assert_eq!(text.bytes(), b"12345");
        text.cut(b"6789");
        assert_eq!(text.bytes(), b"12345678");
    }

    #[test]
    fn a_mapped_text_has_room_for_all_that_was_asked() {
        let whole = mapped(10_000, |text| {
            (0..10_000).all(|_| text.write_str("x").is_ok()) && text.bytes().len() == 10_000
        });
        assert_eq!(whole, Some(true));
    }
}

//! What allocators say of a mistake, and what it names.
//!
//! Patterns of allocators that are known come first, then words that any allocator might use. A
//! message that says no more than that the pointer is none to be freed names a double free too: an
//! allocator that gave the block's memory back can't know more.

use std::sync::LazyLock;

use regex::Regex;

use crate::mistake::Kind;

use Kind::{DoubleFree, InvalidFree, SizeMismatch, Write};

/// Patterns, the first that matches a line counts.
const NAMES: &[(&str, &[Kind])] = &[
    // Drystone.
    (r"^drystone: double free:", &[DoubleFree]),
    (r"^drystone: (interior|unaligned|foreign) pointer:", &[InvalidFree]),
    (r"^drystone: (write after free|corrupt block header):", &[Write]),
    (r"^drystone: size mismatch:", &[SizeMismatch]),
    // glibc.
    (r"^free\(\): double free detected", &[DoubleFree]),
    (r"^double free or corruption", &[DoubleFree, Write]),
    (r"^(free|munmap_chunk|realloc|mremap_chunk)\(\): invalid pointer", &[DoubleFree, InvalidFree]),
    (r"^(free|realloc)\(\): invalid size", &[InvalidFree, Write]),
    (r"^(free|malloc|realloc|malloc_consolidate|corrupted)\b.*", &[Write]),
    // mimalloc.
    (r"mimalloc: error:.*double free", &[DoubleFree]),
    (
        r"mimalloc: error:.*(invalid|unaligned|does not point|might not point)",
        &[DoubleFree, InvalidFree],
    ),
    (r"mimalloc: error:.*(overflow|corrupt)", &[Write]),
    // jemalloc, when built with its safety checks.
    (r"^<jemalloc>:.*double.?free", &[DoubleFree]),
    (r"^<jemalloc>:.*size mismatch", &[SizeMismatch]),
    (r"^<jemalloc>:.*invalid dealloc", &[DoubleFree, InvalidFree]),
    (r"^<jemalloc>:.*(write-after-free|overflow|corrupt)", &[Write]),
    // gperftools.
    (r"Attempt to (free|realloc) invalid pointer", &[DoubleFree, InvalidFree]),
    // scudo.
    (r"Scudo ERROR: (invalid chunk state|race on chunk header)", &[DoubleFree, InvalidFree]),
    (r"Scudo ERROR: misaligned pointer", &[InvalidFree]),
    (r"Scudo ERROR: corrupted chunk header", &[InvalidFree, Write]),
    (r"Scudo ERROR: invalid sized delete", &[SizeMismatch]),
    // hardened_malloc.
    (r"^fatal allocator error: double free", &[DoubleFree]),
    (r"^fatal allocator error: (sized deallocation|.*size mismatch)", &[SizeMismatch]),
    (r"^fatal allocator error: (detected write after free|canary corrupted)", &[Write]),
    (r"^fatal allocator error: invalid", &[DoubleFree, InvalidFree]),
    // Anybody.
    (r"(?i)double.?free|freed twice|already freed", &[DoubleFree]),
    (r"(?i)size.{0,24}mismatch|wrong size", &[SizeMismatch]),
    (r"(?i)invalid (pointer|free)|not allocated|bad free|wild free", &[DoubleFree, InvalidFree]),
    (r"(?i)after.free|overflow|underflow|corrupt|canary|red.?zone", &[Write]),
];

static PATTERNS: LazyLock<Vec<(Regex, &'static [Kind])>> = LazyLock::new(|| {
    let compiled = |(pattern, kinds): &(&str, &'static [Kind])| {
        (Regex::new(pattern).expect("a constant, which a test compiles"), *kinds)
    };
    NAMES.iter().map(compiled).collect()
});

/// The first line of `words` that names a mistake of this kind.
pub fn naming(words: &str, kind: Kind) -> Option<&str> {
    words.lines().find(|line| {
        let matching = PATTERNS.iter().find(|(pattern, _)| pattern.is_match(line));
        matching.is_some_and(|(_, kinds)| kinds.contains(&kind))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as these allocators print them, glibc 2.36, gperftools 2.10, jemalloc 5.3, mimalloc 2.
    #[test]
    fn messages_name_what_they_are_about() {
        for (line, named, not) in [
            ("free(): double free detected in tcache 2", DoubleFree, Write),
            ("double free or corruption (!prev)", DoubleFree, InvalidFree),
            ("free(): invalid pointer", InvalidFree, SizeMismatch),
            ("munmap_chunk(): invalid pointer", DoubleFree, Write),
            ("free(): invalid next size (normal)", Write, DoubleFree),
            ("malloc(): unaligned tcache chunk detected", Write, DoubleFree),
            ("corrupted size vs. prev_size", Write, InvalidFree),
            ("src/tcmalloc.cc:333] Attempt to free invalid pointer 0x7ffd", InvalidFree, Write),
            ("<jemalloc>: size mismatch detected (true size 8 vs input)", SizeMismatch, Write),
            ("mimalloc: error: double free detected of block 0x1 with size 16", DoubleFree, Write),
            ("drystone: double free: 0x10, found at the call", DoubleFree, InvalidFree),
            ("drystone: foreign pointer: 0x10, found at the call", InvalidFree, DoubleFree),
            ("drystone: write after free: 0x10, found late", Write, DoubleFree),
            ("fatal allocator error: double free (quarantine)", DoubleFree, InvalidFree),
        ] {
            assert_eq!(naming(line, named), Some(line), "{line}");
            assert_eq!(naming(line, not), None, "{line}");
        }
        assert_eq!(naming("Aborted\nSegmentation fault", DoubleFree), None);
        assert_eq!(naming("", Write), None);
        assert_eq!(
            naming("hello\nfree(): invalid pointer", InvalidFree),
            Some("free(): invalid pointer")
        );
    }
}

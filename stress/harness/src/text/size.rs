//! Sizes as people write them: `4096`, `64K`, `16M`, `1G`. K, M and G are powers of 1024 here.

use parse_size::Config;
use thiserror::Error;

/// A text that is no number.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no number: write digits, with K, M or G for powers of 1024")]
pub struct NoSize(String);

/// Reads a number of bytes, or of anything else that is counted in powers of 1024.
///
/// # Errors
/// Says how to write one.
pub fn parse(text: &str) -> Result<u64, NoSize> {
    let rejected = || NoSize(text.to_owned());
    // The crate reads fractions and exponents too, of which a reader can't tell the bytes.
    if text.contains(['.', 'e', 'E']) {
        return Err(rejected());
    }
    Config::new().with_binary().parse_size(text).map_err(|_| rejected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024_and_others_are_rejected() {
        for (text, bytes) in
            [("0", 0), ("4096", 4096), ("64K", 1 << 16), ("2M", 2 << 20), ("1G", 1 << 30)]
        {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "K", "1X", "-1", "1.5K", "1e3", "many", "99999999999999999999"] {
            assert!(parse(text).unwrap_err().to_string().contains("is no number"), "{text}");
        }
    }
}

//! The order of rows: as a person would list them, so that 64 comes before 1024.

/// A piece of an id; numbers compare as numbers, and come before text.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece<'a> {
    /// A run of digits: how many after leading zeros, then the digits, which compares them
    /// however long they are.
    Number(usize, &'a str),
    /// Anything else.
    Text(&'a str),
}

/// What to sort ids by.
pub fn key(id: &str) -> Vec<Piece<'_>> {
    id.as_bytes()
        .chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit())
        .scan(0, |start, chunk| {
            // ASCII digits begin and end at characters' boundaries, so this cannot split one.
            let piece = &id[*start..*start + chunk.len()];
            *start += chunk.len();
            let digits = piece.trim_start_matches('0');
            let is_number = chunk[0].is_ascii_digit();
            Some(if is_number { Piece::Number(digits.len(), digits) } else { Piece::Text(piece) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn numbers_are_in_their_order() {
        let sorted = [
            "bulk/list/fifo",
            "pair/list/16",
            "pair/list/64",
            "pair/list/1024",
            "pair/list/1048576",
            "pair/list/18446744073709551616000",
            "pair/list/µ4",
            "pair/list/µ16",
            "pair/system/16",
        ];
        let mut shuffled = sorted;
        shuffled.reverse();
        shuffled.sort_by(|a, b| key(a).cmp(&key(b)));
        assert_eq!(shuffled, sorted);
    }
}

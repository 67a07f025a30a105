//! Text that must fit.

/// `text` with its middle left out, if it has more than `most` letters.
pub fn shortened(text: &str, most: usize) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= most {
        return text.to_owned();
    }
    let (first, last) = (most.saturating_sub(1) / 2, most / 2);
    let beginning = letters[..first].iter().chain(&['…']);
    beginning.chain(&letters[letters.len() - last..]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_loses_its_middle() {
        assert_eq!(shortened("linked:list mixed", 26), "linked:list mixed");
        assert_eq!(shortened("abcdefghij", 5), "ab…ij");
    }
}

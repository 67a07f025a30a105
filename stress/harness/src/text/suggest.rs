//! Names that were mistyped.

/// A sentence that refuses `name` and names the nearest of `known`, and all of them.
pub fn refuse(what: &str, name: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(2));
    let hint = nearest.map_or(String::new(), |(_, nearest)| format!(" Did you mean `{nearest}`?"));
    format!("there is no {what} `{name}`.{hint} Known: {}", known.join(", "))
}

/// How many characters must be inserted, removed or replaced (Levenshtein 1966).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_the_textbook_ones() {
        for (one, other, expected) in
            [("kitten", "sitting", 3), ("", "abc", 3), ("list", "list", 0), ("flaw", "lawn", 2)]
        {
            assert_eq!(distance(one, other), expected, "{one} → {other}");
            assert_eq!(distance(other, one), expected, "{other} → {one}");
        }
    }

    #[test]
    fn a_hint_is_given_only_where_it_may_help() {
        let known = ["list", "system"];
        assert_eq!(
            refuse("subject", "lsit", &known),
            "there is no subject `lsit`. Did you mean `list`? Known: list, system"
        );
        assert_eq!(
            refuse("subject", "jemalloc", &known),
            "there is no subject `jemalloc`. Known: list, system"
        );
    }
}

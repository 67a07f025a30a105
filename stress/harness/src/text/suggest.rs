//! Names that were mistyped.

/// As clap takes one for the name that was meant: Jaro's similarity, 0 to 1.
const LIKE: f64 = 0.7;

/// A sentence that rejects `name` and names the nearest of `known`, and all of them.
pub fn reject(what: &str, name: &str, known: &[&str]) -> String {
    let hint = nearest(name, known).map_or(String::new(), |one| format!(" Did you mean `{one}`?"));
    format!("there is no {what} `{name}`.{hint} Known: {}", known.join(", "))
}

/// The one of `known` that is most like `name`, if any is like it. Of `linked:list` the last part
/// alone may be what was mistyped.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let likeness = |one: &&'a str| {
        let last = one.rsplit(':').next().unwrap_or(one);
        (strsim::jaro(name, one).max(strsim::jaro(name, last)), *one)
    };
    let like = known.iter().map(likeness).filter(|(likeness, _)| *likeness > LIKE);
    like.max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, one)| one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_given_only_where_it_may_help() {
        let known = ["list", "system"];
        assert_eq!(
            reject("allocator", "lsit", &known),
            "there is no allocator `lsit`. Did you mean `list`? Known: list, system"
        );
        assert_eq!(
            reject("allocator", "jemalloc", &known),
            "there is no allocator `jemalloc`. Known: list, system"
        );
    }

    #[test]
    fn the_nearest_of_several_is_named() {
        let known = ["mixed", "misuse", "mimalloc", "mimalloc-secure"];
        assert_eq!(nearest("mimaloc", &known), Some("mimalloc"));
        assert_eq!(nearest("mixd", &known), Some("mixed"));
        assert_eq!(nearest("qqq", &known), None);
        assert_eq!(nearest("lits", &["system", "linked:list"]), Some("linked:list"));
    }
}

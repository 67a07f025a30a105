//! Names that were mistyped.

/// As clap takes one for the name that was meant: Jaro's similarity, 0 to 1.
const LIKE: f64 = 0.7;

/// A sentence that rejects `name` and suggests the one of `all` that is most like it, and all of
/// them.
pub fn reject(what: &str, name: &str, all: &[&str]) -> String {
    let hint = suggested(name, all).map_or(String::new(), |one| format!(" Did you mean `{one}`?"));
    format!("there is no {what} `{name}`.{hint} Known: {}", all.join(", "))
}

/// The one of `all` that is most like `name`, if any is like it. Of `linked:list` the last part
/// alone may be what was mistyped.
fn suggested<'a>(name: &str, all: &[&'a str]) -> Option<&'a str> {
    let likeness = |one: &&'a str| {
        let last = one.rsplit(':').next().unwrap_or(one);
        (strsim::jaro(name, one).max(strsim::jaro(name, last)), *one)
    };
    let like = all.iter().map(likeness).filter(|(likeness, _)| *likeness > LIKE);
    like.max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, one)| one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_given_only_where_it_may_help() {
        let all = ["list", "system"];
        assert_eq!(
            reject("allocator", "lsit", &all),
            "there is no allocator `lsit`. Did you mean `list`? Known: list, system"
        );
        assert_eq!(
            reject("allocator", "jemalloc", &all),
            "there is no allocator `jemalloc`. Known: list, system"
        );
    }

    #[test]
    fn the_likest_of_several_is_suggested() {
        let all = ["mixed", "misuse", "mimalloc", "mimalloc-secure"];
        assert_eq!(suggested("mimaloc", &all), Some("mimalloc"));
        assert_eq!(suggested("mixd", &all), Some("mixed"));
        assert_eq!(suggested("qqq", &all), None);
        assert_eq!(suggested("lits", &["system", "linked:list"]), Some("linked:list"));
    }
}

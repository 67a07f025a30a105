//! Versions of crates, for libraries that do not say which they are.

/// What Cargo has built.
const LOCK: &str = include_str!("../../Cargo.lock");

/// The locked version of a crate.
///
/// # Panics
/// If it is not locked: then it could not have been built.
pub(crate) fn version(name: &str) -> String {
    let mut lines = LOCK.lines().skip_while(|line| *line != format!("name = \"{name}\""));
    let version = lines.nth(1).and_then(|line| line.strip_prefix("version = "));
    version.expect("the crate is locked").trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_version_is_found_by_its_crate() {
        let version = super::version("rpmalloc-sys");
        assert!(version.starts_with("0.2."), "{version}");
    }
}

//! A variable of the environment, for an allocator to read.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A variable of the environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Variable {
    /// Reads `NAME=VALUE`.
    ///
    /// # Errors
    /// A sentence that names what to change.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err(format!("`{text}` sets nothing: write NAME=VALUE")),
        }
    }
}

/// As it is written.
impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_read_as_it_is_written() {
        let variable = Variable::parse("A=b=c").unwrap();
        assert_eq!((variable.name.as_str(), variable.value.as_str()), ("A", "b=c"));
        assert_eq!(variable.to_string(), "A=b=c");
        assert!(Variable::parse("A").unwrap_err().contains("write NAME=VALUE"));
        assert!(Variable::parse("=b").is_err());
    }
}

//! What the checks know of one Rust file: plain data, so that it is read once and all tests share
//! it.

use std::collections::BTreeSet;

/// One Rust file.
#[derive(Debug, Default)]
pub struct Facts {
    /// The file's own module, then those that it holds in braces.
    pub modules: Vec<Module>,
    /// Every function with a body, nested ones and those in macros too.
    pub functions: Vec<Function>,
    /// Every line of every comment, documentation included, without what stands beside it.
    pub comments: Vec<(usize, String)>,
    /// Every identifier, those in macros too.
    pub identifiers: Vec<(usize, String)>,
    /// Lines on which an unsafe block or an unsafe implementation begins.
    pub unsafe_lines: Vec<usize>,
    /// Every string, as it is written between its quotes.
    pub strings: Vec<(usize, String)>,
    /// Lines that begin inside a string of several lines.
    pub in_strings: BTreeSet<usize>,
    /// Functions of inherent implementations.
    pub methods: Vec<Method>,
    /// Calls of a type's own methods from its own implementations.
    pub self_calls: Vec<Method>,
    /// Names with what they hold: variants, fields, methods, associated constants.
    pub members: Vec<(String, String)>,
}

/// A module in a file.
#[derive(Debug, Default)]
pub struct Module {
    /// Empty for the file's own.
    pub name: String,
    /// The module around it, by its place in [`Facts::modules`].
    pub parent: Option<usize>,
    /// Whether it is compiled for tests alone.
    pub test: bool,
    /// First and last line.
    pub lines: (usize, usize),
    /// Modules that lie in files of their own.
    pub declared: Vec<Declared>,
    /// The items it defines.
    pub items: Vec<Item>,
    /// Its `use` declarations, those in function bodies too, one for each name.
    pub imports: Vec<Import>,
    /// The paths that it names in types, expressions, patterns and macros.
    pub paths: Vec<Named>,
}

/// `mod name;`
#[derive(Debug)]
pub struct Declared {
    pub name: String,
    /// What `#[path]` says.
    pub path: Option<String>,
    pub test: bool,
}

/// Something with a name.
#[derive(Debug)]
pub struct Item {
    pub name: String,
    /// A macro that `#[macro_export]` puts at the crate's root.
    pub exported_macro: bool,
}

/// One name of a `use` declaration.
#[derive(Debug)]
pub struct Import {
    /// Segments, the first of them `::` if the path begins so.
    pub path: Vec<String>,
    /// What it is called here; `*` if all names are meant.
    pub name: String,
    /// Whether others can name it through this module.
    pub public: bool,
    pub line: usize,
    pub test: bool,
}

/// A path as it stands in the code.
#[derive(Debug)]
pub struct Named {
    pub path: Vec<String>,
    pub line: usize,
    pub test: bool,
}

/// A function's place.
#[derive(Debug)]
pub struct Function {
    pub name: String,
    /// The line of its `fn`, and that of its closing brace.
    pub lines: (usize, usize),
}

/// A method of a type, or a call of it.
#[derive(Debug)]
pub struct Method {
    /// The type's path, as its implementation names it.
    pub of: Vec<String>,
    /// The module it stands in, by its place in [`Facts::modules`].
    pub module: usize,
    pub name: String,
    pub line: usize,
    pub test: bool,
}

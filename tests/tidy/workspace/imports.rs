//! Which file of a package names something that another defines.
//!
//! A name leads to the file that *defines* it: re-exports are followed, and `mod x;` names nothing.
//! A module that is imported whole counts for what is then named through it.

use std::collections::{BTreeMap, BTreeSet};

use super::crates::Crate;
use super::manifest::Kind;
use super::names::{Found, Names};
use super::tree::Tree;
use crate::source::facts::{Method, Module, Named};

/// One file names something of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    pub from: String,
    pub to: String,
    pub line: usize,
    /// The path as it is written.
    pub name: String,
    pub how: How,
}

/// How a file names another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// In a `use` declaration or a path.
    Import,
    /// In `pub use`: it passes the name on.
    Export,
    /// It calls a method that another file adds to the same type.
    Method,
}

/// The files whose inherent implementations of a type have a method. The type is its file and name.
type Methods<'t> = BTreeMap<(String, String, &'t str), BTreeSet<&'t str>>;

/// The edges within each target of a package, a binary's into its library included. Unit tests are
/// apart.
pub fn edges(tree: &Tree) -> BTreeSet<Edge> {
    let mut found = BTreeSet::new();
    for one in &tree.crates {
        let library = match one.kind {
            Kind::Binary => tree
                .crates
                .iter()
                .find(|other| other.package == one.package && other.kind == Kind::Library),
            _ => None,
        };
        let package = &tree.packages[one.package];
        let names = Names { tree, library: library.map(|library| (&*package.library, library)) };
        let mut edges = Edges { names, one, methods: Methods::new(), found: &mut found };
        edges.index_methods();
        for node in edges.nodes() {
            edges.of_module(node);
            edges.of_calls(node);
        }
    }
    found
}

struct Edges<'t, 'f> {
    names: Names<'t>,
    one: &'t Crate,
    methods: Methods<'t>,
    found: &'f mut BTreeSet<Edge>,
}

impl<'t> Edges<'t, '_> {
    /// The modules that ship.
    fn nodes(&self) -> Vec<usize> {
        (0..self.one.nodes.len()).filter(|node| !self.one.nodes[*node].test).collect()
    }

    fn add(&mut self, node: usize, to: &str, line: usize, name: String, how: How) {
        let from = &self.one.nodes[node].file;
        if to != from {
            let (from, to) = (from.clone(), to.to_owned());
            self.found.insert(Edge { from, to, line, name, how });
        }
    }

    fn of_module(&mut self, node: usize) {
        let Some(module) = self.names.module(self.one, node) else { return };
        for import in module.imports.iter().filter(|import| !import.test) {
            let how = if import.public { How::Export } else { How::Import };
            if let Some(Found::Item(to, _)) = self.names.import(self.one, node, import) {
                self.add(node, to, import.line, import.path.join("::"), how);
            }
        }
        for named in module.paths.iter().filter(|named| !named.test) {
            let (path, line) = (&named.path, named.line);
            if let Some(Found::Item(to, rest)) = self.names.path(self.one, node, path) {
                let single = is_imported(module, named);
                if !single {
                    self.add(node, to, line, path.join("::"), How::Import);
                }
                if let ([method], [.., of, _]) = (&rest[..], &path[..]) {
                    self.call(node, (to.to_owned(), of.clone(), method), line);
                }
            }
        }
    }

    fn of_calls(&mut self, node: usize) {
        for call in self.of_node(node, |facts| &facts.self_calls) {
            if let Some((file, of)) = self.type_of(node, &call.of) {
                self.call(node, (file, of, &call.name), call.line);
            }
        }
    }

    /// A call of a method; nothing, if several files may have it.
    fn call(&mut self, node: usize, method: (String, String, &str), line: usize) {
        let name = format!("{}::{}", method.1, method.2);
        let files = self.methods.get(&method).into_iter().flatten().copied().collect::<Vec<_>>();
        if let [to] = files[..] {
            self.add(node, to, line, name, How::Method);
        }
    }

    fn index_methods(&mut self) {
        for node in self.nodes() {
            let file = self.one.nodes[node].file.as_str();
            for method in self.of_node(node, |facts| &facts.methods) {
                if let Some((at, of)) = self.type_of(node, &method.of) {
                    self.methods.entry((at, of, &method.name)).or_default().insert(file);
                }
            }
        }
    }

    fn of_node(
        &self,
        node: usize,
        which: impl Fn(&'t crate::source::facts::Facts) -> &'t Vec<Method>,
    ) -> Vec<&'t Method> {
        let node = &self.one.nodes[node];
        let facts = self.names.tree.facts(&node.file);
        let all = facts.map(which).into_iter().flatten();
        all.filter(|method| !method.test && method.module == node.place).collect()
    }

    /// The file that defines a type, and the type's name.
    fn type_of(&self, node: usize, path: &[String]) -> Option<(String, String)> {
        match self.names.path(self.one, node, path)? {
            Found::Item(file, _) => Some((file.to_owned(), path.last()?.clone())),
            Found::Module(..) => None,
        }
    }
}

/// Whether a name of one segment stands for what an import or an item here already says.
fn is_imported(module: &Module, named: &Named) -> bool {
    let [name] = &named.path[..] else { return false };
    module.imports.iter().any(|import| import.name == *name)
        || module.items.iter().any(|item| item.name == *name)
}

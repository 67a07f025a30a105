//! What a path leads to: through modules, imports and re-exports to the file that defines the item.

use std::collections::BTreeSet;

use super::crates::Crate;
use super::tree::Tree;
use crate::source::facts::{Import, Module};

/// What a path leads to.
pub enum Found<'t> {
    Module(&'t Crate, usize),
    /// The file that defines it, and what of the path comes after it.
    Item(&'t str, Vec<String>),
}

/// Looks names up in the modules of a target.
pub struct Names<'t> {
    pub tree: &'t Tree,
    /// The package's own library, as its binaries see it.
    pub library: Option<(&'t str, &'t Crate)>,
}

impl<'t> Names<'t> {
    /// What its file says of a module.
    pub fn module(&self, one: &'t Crate, node: usize) -> Option<&'t Module> {
        let node = &one.nodes[node];
        self.tree.facts(&node.file)?.modules.get(node.place)
    }

    /// What a `use` declaration names.
    pub fn import(&self, one: &'t Crate, node: usize, import: &Import) -> Option<Found<'t>> {
        let seen = &mut BTreeSet::from([(node, import.name.clone())]);
        self.resolve(one, node, &import.path, seen)
    }

    /// What a path names that stands in a module.
    pub fn path(&self, one: &'t Crate, node: usize, path: &[String]) -> Option<Found<'t>> {
        self.resolve(one, node, path, &mut BTreeSet::new())
    }

    /// `seen` holds the look-ups under way, so that no circle of imports is followed for ever.
    fn resolve(
        &self,
        one: &'t Crate,
        node: usize,
        path: &[String],
        seen: &mut BTreeSet<(usize, String)>,
    ) -> Option<Found<'t>> {
        let (first, rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Found::Module(one, 0),
            "self" => Found::Module(one, node),
            "super" => Found::Module(one, self.above(one, node)?),
            "::" => return self.outside(rest),
            name => match self.look_up(one, node, name, rest.is_empty(), seen) {
                Some(found) => found,
                None => return self.outside(path),
            },
        };
        for (number, name) in rest.iter().enumerate() {
            at = match at {
                Found::Module(one, node) if name == "super" => {
                    Found::Module(one, self.above(one, node)?)
                }
                Found::Module(one, node) => {
                    let last = number + 1 == rest.len();
                    match self.look_up(one, node, name, last, seen) {
                        Some(found) => found,
                        // A macro may have defined it there.
                        None => Found::Item(&one.nodes[node].file, rest[number + 1..].to_vec()),
                    }
                }
                Found::Item(file, _) => return Some(Found::Item(file, rest[number..].to_vec())),
            }
        }
        Some(at)
    }

    /// The module around this one.
    fn above(&self, one: &Crate, node: usize) -> Option<usize> {
        one.nodes[node].parent
    }

    /// A path that begins with a crate's name.
    fn outside(&self, path: &[String]) -> Option<Found<'t>> {
        let (name, library) = self.library?;
        if path.first()? != name {
            return None;
        }
        let inside = Names { tree: self.tree, library: None };
        let path: Vec<String> =
            std::iter::once("crate".to_owned()).chain(path[1..].iter().cloned()).collect();
        inside.resolve(library, 0, &path, &mut BTreeSet::new())
    }

    /// What `name` is in a module. In the middle of a path it is rather a module, at its end an
    /// item.
    fn look_up(
        &self,
        one: &'t Crate,
        node: usize,
        name: &str,
        last: bool,
        seen: &mut BTreeSet<(usize, String)>,
    ) -> Option<Found<'t>> {
        let module = self.module(one, node)?;
        let child = one.nodes[node].children.get(name).map(|child| Found::Module(one, *child));
        let own = module.items.iter().any(|item| item.name == name);
        let own = own || (node == 0 && self.exports_macro(one, name));
        if !last && child.is_some() {
            return child;
        }
        if own {
            return Some(Found::Item(&one.nodes[node].file, Vec::new()));
        }
        if !seen.insert((node, name.to_owned())) {
            return child;
        }
        let mut imports = module.imports.iter().filter(|import| import.name == name);
        let imported = imports.find_map(|import| self.resolve(one, node, &import.path, seen));
        if imported.is_some() || child.is_some() {
            return imported.or(child);
        }
        let mut globs = module.imports.iter().filter(|import| import.name == "*");
        globs.find_map(|glob| match self.resolve(one, node, &glob.path, seen)? {
            Found::Module(other, inside) => self.look_up(other, inside, name, last, seen),
            Found::Item(..) => None,
        })
    }

    fn exports_macro(&self, one: &Crate, name: &str) -> bool {
        (0..one.nodes.len())
            .filter_map(|node| self.module(one, node))
            .any(|module| module.items.iter().any(|item| item.exported_macro && item.name == name))
    }
}

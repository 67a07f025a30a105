//! From a file's text to its [`Facts`], by `syn`.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::facts::{Declared, Facts, Function, Import, Item, Method, Module, Named};
use super::tokens;

/// Reads a Rust file.
///
/// # Errors
/// Says where the file isn't Rust.
pub fn read(text: &str) -> Result<Facts, String> {
    let wrong = |at: usize, error: &dyn ToString| format!("{at}: {}", error.to_string());
    let stream: proc_macro2::TokenStream = text
        .parse()
        .map_err(|error: proc_macro2::LexError| wrong(error.span().start().line, &error))?;
    let file: syn::File =
        syn::parse2(stream.clone()).map_err(|error| wrong(error.span().start().line, &error))?;
    let mut facts = Facts::default();
    let test = file.attrs.iter().any(is_for_tests);
    let lines = (1, text.lines().count());
    facts.modules.push(Module { test, lines, ..Module::default() });
    let mut reader = Reader { facts, module: 0, test, of: None };
    reader.visit_file(&file);
    let mut facts = reader.facts;
    tokens::read(text, stream, &mut facts);
    Ok(facts)
}

struct Reader {
    facts: Facts,
    /// The module that is being read.
    module: usize,
    /// Whether what is being read is compiled for tests alone.
    test: bool,
    /// The type whose implementation is being read: its name, its path, and whether a trait's.
    of: Option<(String, Vec<String>, bool)>,
}

impl Reader {
    fn here(&mut self) -> &mut Module {
        &mut self.facts.modules[self.module]
    }

    /// Reads what bears `attributes`, which may say that it is for tests.
    fn under(&mut self, attributes: &[syn::Attribute], read: impl FnOnce(&mut Self)) {
        let before = self.test;
        self.test |= attributes.iter().any(is_for_tests);
        read(self);
        self.test = before;
    }

    fn define(&mut self, name: &syn::Ident, exported_macro: bool) {
        let name = name.to_string();
        self.here().items.push(Item { name, exported_macro });
    }

    fn member(&mut self, of: &str, name: &syn::Ident) {
        self.facts.members.push((of.to_owned(), name.to_string()));
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.span().start().line;
        let lines = (first, block.span().end().line);
        self.facts.functions.push(Function { name: signature.ident.to_string(), lines });
    }

    fn import(&mut self, tree: &syn::UseTree, before: &[String], public: bool) {
        let mut path = before.to_vec();
        let line = tree.span().start().line;
        let test = self.test;
        let name = match tree {
            syn::UseTree::Path(part) => {
                path.push(part.ident.to_string());
                return self.import(&part.tree, &path, public);
            }
            syn::UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.import(tree, before, public));
            }
            syn::UseTree::Glob(_) => "*".to_owned(),
            syn::UseTree::Name(name) if name.ident == "self" => {
                path.last().expect("`self` stands in braces after a path").clone()
            }
            syn::UseTree::Name(name) => {
                path.push(name.ident.to_string());
                name.ident.to_string()
            }
            syn::UseTree::Rename(renamed) => {
                if renamed.ident != "self" {
                    path.push(renamed.ident.to_string());
                }
                renamed.rename.to_string()
            }
        };
        self.here().imports.push(Import { path, name, public, line, test });
    }

    /// Calls of the type's own methods on `self`.
    fn self_call(&mut self, name: String, line: usize) {
        if let Some((_, of, _)) = self.of.clone() {
            let (module, test) = (self.module, self.test);
            self.facts.self_calls.push(Method { of, module, name, line, test });
        }
    }
}

impl Visit<'_> for Reader {
    fn visit_item(&mut self, item: &syn::Item) {
        self.under(attributes(item), |reader| {
            if let Some(name) = name(item) {
                reader.define(name, false);
            }
            visit::visit_item(reader, item);
        });
    }

    fn visit_item_mod(&mut self, item: &syn::ItemMod) {
        let name = item.ident.to_string();
        let test = self.test;
        let Some((_, items)) = &item.content else {
            let path = item.attrs.iter().find_map(path_attribute);
            self.here().declared.push(Declared { name, path, test });
            return;
        };
        let span = item.span();
        let lines = (span.start().line, span.end().line);
        let parent = Some(self.module);
        let around = self.module;
        self.module = self.facts.modules.len();
        self.facts.modules.push(Module { name, parent, test, lines, ..Module::default() });
        items.iter().for_each(|item| self.visit_item(item));
        self.module = around;
    }

    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        let before: &[String] = if item.leading_colon.is_some() { &["::".to_owned()] } else { &[] };
        let public = !matches!(item.vis, syn::Visibility::Inherited);
        self.import(&item.tree, before, public);
    }

    fn visit_item_macro(&mut self, item: &syn::ItemMacro) {
        if let Some(name) = &item.ident {
            let exported = item.attrs.iter().any(|given| given.path().is_ident("macro_export"));
            self.define(name, exported);
        }
        // Many macros take items: what they define is then known by its name.
        match syn::parse2::<syn::File>(item.mac.tokens.clone()) {
            Ok(file) if item.ident.is_none() => {
                self.visit_path(&item.mac.path);
                file.items.iter().for_each(|item| self.visit_item(item));
            }
            _ => self.visit_macro(&item.mac),
        }
    }

    fn visit_macro(&mut self, call: &syn::Macro) {
        self.visit_path(&call.path);
        let (paths, calls) = tokens::paths(call.tokens.clone(), self.test);
        self.here().paths.extend(paths);
        calls.into_iter().for_each(|(line, name)| self.self_call(name, line));
        tokens::functions(call.tokens.clone(), &mut self.facts.functions);
    }

    fn visit_item_fn(&mut self, item: &syn::ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &syn::ImplItemFn) {
        self.under(&item.attrs, |reader| {
            reader.function(&item.sig, &item.block);
            if let Some((name_of, of, by_trait)) = reader.of.clone() {
                reader.member(&name_of, &item.sig.ident);
                let (name, line) = (item.sig.ident.to_string(), item.sig.span().start().line);
                if !by_trait {
                    let (module, test) = (reader.module, reader.test);
                    reader.facts.methods.push(Method { of, module, name, line, test });
                }
            }
            visit::visit_impl_item_fn(reader, item);
        });
    }

    fn visit_impl_item_const(&mut self, item: &syn::ImplItemConst) {
        if let Some((of, ..)) = self.of.clone() {
            self.member(&of, &item.ident);
        }
        visit::visit_impl_item_const(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_trait(&mut self, item: &syn::ItemTrait) {
        for member in &item.items {
            match member {
                syn::TraitItem::Fn(member) => {
                    self.member(&item.ident.to_string(), &member.sig.ident)
                }
                syn::TraitItem::Const(member) => {
                    self.member(&item.ident.to_string(), &member.ident);
                }
                _ => {}
            }
        }
        visit::visit_item_trait(self, item);
    }

    fn visit_item_enum(&mut self, item: &syn::ItemEnum) {
        for variant in &item.variants {
            self.member(&item.ident.to_string(), &variant.ident);
        }
        visit::visit_item_enum(self, item);
    }

    fn visit_item_struct(&mut self, item: &syn::ItemStruct) {
        for field in item.fields.iter().filter_map(|field| field.ident.as_ref()) {
            self.member(&item.ident.to_string(), field);
        }
        visit::visit_item_struct(self, item);
    }

    fn visit_item_impl(&mut self, item: &syn::ItemImpl) {
        let path = match &*item.self_ty {
            syn::Type::Path(path) => segments(&path.path),
            _ => Vec::new(),
        };
        let of = path.last().cloned().map(|name| (name, path, item.trait_.is_some()));
        let around = std::mem::replace(&mut self.of, of);
        visit::visit_item_impl(self, item);
        self.of = around;
    }

    fn visit_expr_method_call(&mut self, call: &syn::ExprMethodCall) {
        if let syn::Expr::Path(receiver) = &*call.receiver
            && receiver.path.is_ident("self")
        {
            self.self_call(call.method.to_string(), call.method.span().start().line);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let (mut named, test) = (segments(path), self.test);
        let line = path.span().start().line;
        if named[0] == "Self"
            && let Some((_, of, _)) = self.of.clone()
        {
            named.splice(..1, of);
        }
        self.here().paths.push(Named { path: named, line, test });
        visit::visit_path(self, path);
    }

    /// `pub(super)` names no item; documentation and derived traits name none of ours.
    fn visit_visibility(&mut self, _: &syn::Visibility) {}

    fn visit_attribute(&mut self, _: &syn::Attribute) {}
}

fn segments(path: &syn::Path) -> Vec<String> {
    let colon = path.leading_colon.map(|_| "::".to_owned());
    colon.into_iter().chain(path.segments.iter().map(|part| part.ident.to_string())).collect()
}

/// Whether an attribute leaves its item to tests: `#[test]`, `#[cfg(test)]`, `#[cfg(all(test,
/// ..))]`.
fn is_for_tests(attribute: &syn::Attribute) -> bool {
    match &attribute.meta {
        syn::Meta::Path(path) => path.is_ident("test"),
        syn::Meta::List(list) if list.path.is_ident("cfg") => {
            syn::parse2::<syn::Meta>(list.tokens.clone()).is_ok_and(|given| needs_test(&given))
        }
        _ => false,
    }
}

/// Whether a condition never holds outside tests.
fn needs_test(condition: &syn::Meta) -> bool {
    let parts = |list: &syn::MetaList| {
        let parse = syn::punctuated::Punctuated::<syn::Meta, syn::Token![,]>::parse_terminated;
        syn::parse::Parser::parse2(parse, list.tokens.clone()).unwrap_or_default()
    };
    match condition {
        syn::Meta::Path(path) => path.is_ident("test"),
        syn::Meta::List(list) if list.path.is_ident("all") => parts(list).iter().any(needs_test),
        syn::Meta::List(list) if list.path.is_ident("any") => parts(list).iter().all(needs_test),
        _ => false,
    }
}

/// The file that `#[path = "..."]` names.
fn path_attribute(attribute: &syn::Attribute) -> Option<String> {
    let syn::Meta::NameValue(given) = &attribute.meta else { return None };
    match &given.value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. })
            if given.path.is_ident("path") =>
        {
            Some(path.value())
        }
        _ => None,
    }
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::ForeignMod(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Union(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The name that an item defines in its module; modules and macros are seen to where they are read.
fn name(item: &syn::Item) -> Option<&syn::Ident> {
    match item {
        syn::Item::Const(item) => Some(&item.ident),
        syn::Item::Enum(item) => Some(&item.ident),
        syn::Item::Fn(item) => Some(&item.sig.ident),
        syn::Item::Static(item) => Some(&item.ident),
        syn::Item::Struct(item) => Some(&item.ident),
        syn::Item::Trait(item) => Some(&item.ident),
        syn::Item::Type(item) => Some(&item.ident),
        syn::Item::Union(item) => Some(&item.ident),
        _ => None,
    }
}

//! The shape of the whole repository, held by a test: `cargo test --test tidy`.
//!
//! Each test below is a rule; it fails with a line for each place that breaks it, and a sentence
//! that says what to change. `README.md` beside this file says how to add a word, a package or a
//! room.
//!
//! `source` (one file, read by `syn`) < `workspace` (packages, modules, names) < `checks`

mod checks;
mod graph;
mod planted;
mod source;
mod violation;
mod words;
mod workspace;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use checks::{
    circles, columns, dead, packages, references, rooms, safety, seals, sizes, words as banned,
};
use violation::none;
use workspace::Tree;
use workspace::imports::{self, Edge};

/// The repository itself, read once for all tests.
static TREE: LazyLock<Tree> = LazyLock::new(|| {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Tree::read(here.ancestors().nth(2).expect("this package lies in tests/tidy"))
});
static EDGES: LazyLock<BTreeSet<Edge>> = LazyLock::new(|| imports::edges(&TREE));

#[test]
fn every_file_can_be_read() {
    none(TREE.unreadable.clone());
}

#[test]
fn no_circle_of_files() {
    none(circles::of_files(&EDGES));
}

#[test]
fn no_circle_of_methods() {
    none(circles::of_methods(&EDGES));
}

#[test]
fn no_circle_of_rooms() {
    none(circles::of_rooms(&EDGES));
}

#[test]
fn few_floors() {
    none(circles::floors(&TREE, &EDGES));
}

#[test]
fn rooms_use_only_those_below() {
    none(rooms::check(&TREE, &EDGES));
}

#[test]
fn packages_use_only_what_their_row_allows() {
    none(packages::check(&TREE));
}

#[test]
fn packages_say_who_may_use_them() {
    none(packages::readmes(&TREE));
}

#[test]
fn no_file_is_too_long() {
    none(sizes::files(&TREE));
}

#[test]
fn functions_fit_on_a_screen() {
    none(sizes::functions(&TREE));
}

#[test]
fn no_folder_is_a_drawer() {
    none(sizes::folders(&TREE));
}

#[test]
fn no_line_is_too_long() {
    none(columns::check(&TREE));
}

#[test]
fn no_banned_word() {
    none(banned::check(&TREE));
}

#[test]
fn links_lead_somewhere() {
    none(references::links(&TREE));
}

#[test]
fn named_files_are_there() {
    none(references::paths(&TREE));
}

#[test]
fn the_map_names_only_what_is_there() {
    none(references::names(&TREE));
}

#[test]
fn no_file_is_dead() {
    none(dead::check(&TREE));
}

#[test]
fn generated_tables_are_as_they_were_written() {
    none(seals::check(&TREE));
}

#[test]
fn every_unsafe_block_says_why_it_holds() {
    none(safety::undocumented(&TREE));
}

#[test]
fn a_reason_names_its_condition() {
    none(safety::bare(&TREE));
}

#[test]
fn the_allocators_atomics_come_from_sync() {
    none(safety::unmodelled(&TREE));
}

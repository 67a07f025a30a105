//! Whether two libraries are the same to a program: equal sections and equal dynamic symbols.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags};

/// What a program sees of a library: the bytes of its loaded sections, and its dynamic symbols.
#[derive(PartialEq, Eq)]
struct Face {
    sections: BTreeMap<String, (u64, Vec<u8>)>,
    symbols: Vec<(String, u64, u64)>,
}

/// Whether the shared libraries at `a` and `b` have equal loaded sections and dynamic symbols.
/// Debug information and the build's identifier are not loaded, or say nothing of what the code
/// does.
///
/// # Errors
/// If one cannot be read.
pub fn are_identical(a: &Path, b: &Path) -> Result<bool> {
    Ok(face(a)? == face(b)?)
}

fn face(path: &Path) -> Result<Face> {
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let file =
        object::File::parse(&*bytes).with_context(|| format!("{shown} is no shared library"))?;
    let mut sections = BTreeMap::new();
    for section in file.sections() {
        let alloc = u64::from(object::elf::SHF_ALLOC);
        let loaded = matches!(
            section.flags(),
            SectionFlags::Elf { sh_flags } if sh_flags & alloc != 0
        );
        let name = section.name()?;
        if loaded && name != ".note.gnu.build-id" {
            sections.insert(name.to_owned(), (section.address(), section.data()?.to_vec()));
        }
    }
    let mut symbols = Vec::new();
    for symbol in file.dynamic_symbols() {
        symbols.push((symbol.name()?.to_owned(), symbol.address(), symbol.size()));
    }
    symbols.sort();
    Ok(Face { sections, symbols })
}

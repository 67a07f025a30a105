//! Packages, as their `Cargo.toml` files say: what cargo would find, without asking cargo.

use std::collections::BTreeSet;

use toml::{Table, Value};

/// A package of the repository, a member of the workspace or not.
#[derive(Debug)]
pub struct Package {
    /// Its folder below the repository's root; empty for the root's own.
    pub folder: String,
    pub targets: Vec<Target>,
    /// Which packages of the repository it uses.
    pub uses: Vec<Use>,
    pub member: bool,
    /// The name under which another crate sees its library.
    pub library: String,
}

/// What cargo compiles as one crate.
#[derive(Debug)]
pub struct Target {
    pub kind: Kind,
    /// Its first file.
    pub file: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Library,
    Binary,
    Test,
    Bench,
    Example,
    Script,
}

/// A dependency on a package of the repository.
#[derive(Debug)]
pub struct Use {
    /// The folder of the package that is used.
    pub folder: String,
    /// Whether tests alone use it.
    pub tests: bool,
    /// The line of the manifest that names it.
    pub line: usize,
}

impl Package {
    /// Where the package's file `path` lies in the repository.
    pub fn path(&self, path: &str) -> String {
        join(&self.folder, path)
    }

    /// What to call it.
    pub fn label(&self) -> &str {
        if self.folder.is_empty() { "." } else { &self.folder }
    }
}

/// Reads the package in `folder`, if its manifest describes one.
///
/// # Errors
/// Says why the manifest can't be read.
pub fn package(
    folder: &str,
    text: &str,
    root: &Table,
    files: &BTreeSet<&str>,
) -> Result<Option<Package>, String> {
    let manifest: Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    let Some(name) = manifest.get("package").and_then(|package| package.get("name")) else {
        return Ok(None);
    };
    let library = manifest.get("lib").and_then(|library| library.get("name")).unwrap_or(name);
    let library = library.as_str().ok_or("a name is a string")?.replace('-', "_");
    let mut uses = Vec::new();
    for (section, tests) in
        [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
    {
        for (key, given) in manifest.get(section).and_then(Value::as_table).into_iter().flatten() {
            if let Some(folder) = local(folder, key, given, root) {
                uses.push(Use { folder, tests, line: line_of(text, section, key) });
            }
        }
    }
    let member = is_member(folder, root);
    let targets = targets(folder, &manifest, files);
    Ok(Some(Package { folder: folder.to_owned(), targets, uses, member, library }))
}

/// The folder that a dependency lies in, if it lies in the repository.
fn local(folder: &str, key: &str, given: &Value, root: &Table) -> Option<String> {
    let inherited = given.get("workspace").and_then(Value::as_bool) == Some(true);
    let (given, base) = if inherited {
        (root.get("workspace")?.get("dependencies")?.get(key)?, "")
    } else {
        (given, folder)
    };
    let path = given.get("path")?.as_str()?;
    Some(join(base, path))
}

fn line_of(text: &str, section: &str, key: &str) -> usize {
    let numbered = text.lines().enumerate();
    let mut inside = numbered.skip_while(|(_, line)| line.trim() != format!("[{section}]"));
    let named = inside.find(|(_, line)| {
        line.strip_prefix(key).is_some_and(|rest| rest.starts_with([' ', '.', '=']))
    });
    named.map_or(1, |(number, _)| number + 1)
}

fn is_member(folder: &str, root: &Table) -> bool {
    let members = root.get("workspace").and_then(|workspace| workspace.get("members"));
    let patterns = members.and_then(Value::as_array).into_iter().flatten();
    folder.is_empty()
        || patterns.filter_map(Value::as_str).any(|pattern| match pattern.strip_suffix("/*") {
            Some(around) => folder.rsplit_once('/').is_some_and(|(outer, _)| outer == around),
            None => pattern == folder,
        })
}

fn targets(folder: &str, manifest: &Table, files: &BTreeSet<&str>) -> Vec<Target> {
    let mut found = Vec::<Target>::new();
    let mut add = |kind, path: &str| {
        let file = join(folder, path);
        if files.contains(file.as_str()) && !found.iter().any(|target| target.file == file) {
            found.push(Target { kind, file });
        }
    };
    let path = |given: &Value| given.get("path").and_then(Value::as_str).map(str::to_owned);
    add(
        Kind::Library,
        &manifest.get("lib").and_then(path).unwrap_or_else(|| "src/lib.rs".to_owned()),
    );
    add(Kind::Binary, "src/main.rs");
    add(Kind::Script, "build.rs");
    let kinds = [
        (Kind::Binary, "bin", "src/bin"),
        (Kind::Test, "test", "tests"),
        (Kind::Bench, "bench", "benches"),
        (Kind::Example, "example", "examples"),
    ];
    for (kind, section, inside) in kinds {
        for given in manifest.get(section).and_then(Value::as_array).into_iter().flatten() {
            path(given).iter().for_each(|path| add(kind, path));
        }
        let inside = join(folder, inside);
        for file in files.iter().filter_map(|file| file.strip_prefix(&format!("{inside}/"))) {
            let parts: Vec<_> = file.split('/').collect();
            if matches!(parts[..], [file] if file.ends_with(".rs"))
                || matches!(parts[..], [_, "main.rs"])
            {
                let path = format!("{inside}/{file}");
                let own = if folder.is_empty() { 0 } else { folder.len() + 1 };
                add(kind, &path[own..]);
            }
        }
    }
    found
}

/// `path` seen from `folder`, with its `..` and `.` gone.
pub fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

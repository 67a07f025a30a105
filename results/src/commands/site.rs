//! `results site`: a folder of static pages.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::options::{SiteArguments, write_page};
use crate::exit::FINE;
use crate::site;

/// Stands in a folder that this command made: it may write there again, and take its own away.
const MARK: &str = ".drystone-site";

/// Runs the subcommand.
///
/// # Errors
/// If a file cannot be used, or the folder holds what this command did not make.
pub fn run(arguments: &SiteArguments) -> Result<u8> {
    let folder = &arguments.folder;
    let before = made_before(folder)?;
    // All files are read before anything is written.
    let pages = site::pages(&arguments.files)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let names: Vec<&str> = pages.iter().map(|page| page.file.as_str()).collect();
    let old: Vec<&str> =
        before.iter().map(String::as_str).filter(|old| !names.contains(old)).collect();
    // First: a folder that was half written is this command's all the same.
    mark(folder, &[&names[..], &old].concat())?;
    for page in &pages {
        write_page(&folder.join(&page.file), &page.text)?;
    }
    for name in old {
        let path = folder.join(name);
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    mark(folder, &names)?;
    Ok(FINE)
}

/// Notes which pages are this command's.
fn mark(folder: &Path, names: &[&str]) -> Result<()> {
    let path = folder.join(MARK);
    let list: String = names.iter().map(|name| format!("{name}\n")).collect();
    fs::write(&path, list).with_context(|| format!("cannot write {}", path.display()))
}

/// The pages that this command put there before.
fn made_before(folder: &Path) -> Result<Vec<String>> {
    let shown = folder.display();
    match fs::read_to_string(folder.join(MARK)) {
        Ok(list) => {
            let plain = |name: &&str| !name.contains('/') && name.ends_with(".html");
            return Ok(list.lines().filter(plain).map(str::to_owned).collect());
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| shown.to_string()),
    }
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(Vec::new()),
        Ok(false) => {
            bail!("{shown} holds files that this command did not make: name another folder")
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => bail!("{shown} can't be the site's folder: {error}"),
    }
}

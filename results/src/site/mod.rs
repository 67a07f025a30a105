//! A site of static pages: allocators beside each other, comparisons of commits, their trend, and
//! records of the stress tool. Each page holds all it needs: no network, readable without script.
//!
//! ```text
//! mod ─┬─► view ─┬─► page ─► report
//!      │         └─► input            the kind of each file, and its content
//!      └─► report                     the page of a comparison, the trend
//! ```

mod input;
mod page;
mod view;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;

use self::input::{Conform, Input, What};
pub use self::page::Page;
use self::view::{bench, index, stress, text};
use crate::report;

/// The pages that tell of these files, the first of them `index.html`.
///
/// # Errors
/// If a file can't be read, or is none that a site tells of.
pub fn pages(files: &[PathBuf]) -> Result<Vec<Page>> {
    let inputs: Vec<Input> = files.iter().map(|file| Input::read(file)).collect::<Result<_>>()?;
    Ok(all(&inputs))
}

/// All pages, the index first.
fn all(inputs: &[Input]) -> Vec<Page> {
    let conform: Vec<&Conform> = inputs
        .iter()
        .filter_map(|input| match &input.what {
            What::Conform(conform) => Some(conform),
            _ => None,
        })
        .collect();
    let mut names = BTreeSet::from(["index".to_owned(), "trend".to_owned()]);
    let mut pages: Vec<Page> = Vec::new();
    for input in inputs {
        let file = format!("{}.html", distinct(&input.name, &mut names));
        pages.extend(match &input.what {
            What::Bench(bench) => Some(bench::page(bench, &conform, file, &input.name)),
            What::Comparison(judged) => Some(Page {
                title: "Comparison".to_owned(),
                about: report::sentence(judged),
                text: report::html(judged, &input.path),
                file,
            }),
            What::Stress(stress) => Some(stress::page(stress, file, &input.name)),
            What::Text(text) => Some(text::page(text, file, &input.name)),
            What::Conform(_) => None,
        });
    }
    pages.extend(trend(inputs));
    pages.insert(0, index::page(inputs, &conform, &pages));
    pages
}

/// A name for a file that no other page has: letters, digits and hyphens.
fn distinct(name: &str, taken: &mut BTreeSet<String>) -> String {
    let plain: String = name
        .chars()
        .map(|one| if one.is_ascii_alphanumeric() { one.to_ascii_lowercase() } else { '-' })
        .collect();
    let mut number = 1;
    let mut chosen = plain.clone();
    while !taken.insert(chosen.clone()) {
        number += 1;
        chosen = format!("{plain}-{number}");
    }
    chosen
}

/// The course of comparisons that have one and the same A, where there are several.
fn trend(inputs: &[Input]) -> Option<Page> {
    let mut history: Vec<_> = inputs
        .iter()
        .filter_map(|input| match &input.what {
            What::Comparison(judged) => Some(judged.as_ref()),
            _ => None,
        })
        .collect();
    history.sort_by(|a, b| a.header.started.cmp(&b.header.started));
    let reference = &history.first()?.header.a.artifact;
    history.retain(|judged| judged.header.a.artifact == *reference);
    if history.len() < 2 {
        return None;
    }
    let series = report::Series::all(&history);
    Some(Page {
        file: "trend.html".to_owned(),
        title: "Trend".to_owned(),
        about: format!("{} comparisons with one reference", history.len()),
        text: report::trend_page(&history, &series),
    })
}

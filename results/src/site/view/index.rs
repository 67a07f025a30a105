//! The index: who is how fast and how small, and the way to all other pages.

use maud::html;

use super::summary::summary;
use crate::site::input::{Conform, Input, What};
use crate::site::page::{Page, document};

/// The page; `pages` are all others.
pub fn page(inputs: &[Input], conform: &[&Conform], pages: &[Page]) -> Page {
    let benches = inputs.iter().filter_map(|input| match &input.what {
        What::Bench(bench) => Some(bench),
        _ => None,
    });
    let content = html! {
        h1 { "Allocators, measured" }
        @for bench in benches { (summary(bench, conform)) }
        h2 { "Pages" }
        ul {
            @for page in pages {
                li { a href=(page.file) { (page.title) } ": " (page.about) }
            }
        }
        @if pages.is_empty() { p { "No file told of anything." } }
    };
    Page {
        file: "index.html".to_owned(),
        title: "Index".to_owned(),
        about: String::new(),
        text: document("Allocators, measured", &content),
    }
}

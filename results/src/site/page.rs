//! What all pages of a site have in common.

use maud::{Markup, PreEscaped, html};

use crate::report;

const STYLE: &str = include_str!("site.css");
const SCRIPT: &str = include_str!("site.js");

/// A page.
#[derive(Debug)]
pub struct Page {
    /// Its file's name.
    pub file: String,
    /// Its name on the index.
    pub title: String,
    /// The rest of its line there.
    pub about: String,
    /// The whole document.
    pub text: String,
}

/// A document of the site: its way back, its looks, and what makes it sort and filter.
pub fn document(title: &str, content: &Markup) -> String {
    let content = html! {
        style { (PreEscaped(STYLE)) }
        (content)
        script { (PreEscaped(SCRIPT)) }
    };
    report::page(title, &content)
}

/// The way back to the index.
pub fn back() -> Markup {
    html! { p class="quiet" { a href="index.html" { "All pages" } } }
}

/// A table of figures: a cell knows its column's name, for phones, and its value, to be sorted by.
pub fn table(columns: &[&str], rows: &[Vec<(String, Option<f64>)>]) -> Markup {
    html! {
        table class="sorts" {
            thead { tr { @for column in columns { th scope="col" { (column) } } } }
            tbody {
                @for row in rows {
                    tr data-allocator=(row[0].0) {
                        @for (column, (text, value)) in columns.iter().zip(row) {
                            td data-label=(column) data-value=[value] { span { (text) } }
                        }
                    }
                }
            }
        }
    }
}

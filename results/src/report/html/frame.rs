//! The frame of every page.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// The style, in light and dark, on desks and phones.
const STYLE: &str = include_str!("style.css");

/// A self-contained page with that content: it asks nothing of a network, and tells nobody whence a
/// reader comes.
pub fn page(title: &str, content: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (content) } }
        }
    };
    page.into_string() + "\n"
}

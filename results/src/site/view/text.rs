//! A page in Markdown, such as the table of the zoo.

use maud::{PreEscaped, html};
use pulldown_cmark::{Event, Options, Parser, html::push_html};

use crate::site::page::{Page, back, document};

/// The page; its title is its first heading. Raw HTML in it is shown, not obeyed.
pub fn page(text: &str, file: String, name: &str) -> Page {
    let first = text.lines().find_map(|line| line.strip_prefix("# "));
    let title = first.unwrap_or(name).to_owned();
    let parser = Parser::new_ext(text, Options::ENABLE_TABLES);
    let events = parser.filter_map(|event| match event {
        // A comment is for whoever edits the file.
        Event::Html(raw) | Event::InlineHtml(raw) => {
            (!raw.trim_start().starts_with("<!--")).then_some(Event::Text(raw))
        }
        event => Some(event),
    });
    let mut body = String::new();
    push_html(&mut body, events);
    let content = html! { (back()) div class="text" { (PreEscaped(body)) } };
    Page { file, about: format!("the page {name}"), text: document(&title, &content), title }
}

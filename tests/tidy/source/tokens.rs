//! What is seen in a file's tokens, macros' arguments included, and between them: the comments.

use std::ops::Range;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::facts::{Facts, Function, Named};

/// One token that holds no others; brackets are two of them.
struct Leaf {
    bytes: Range<usize>,
    line: usize,
}

/// Fills in what the tokens of `text` say.
pub fn read(text: &str, tokens: TokenStream, facts: &mut Facts) {
    let mut leaves = Vec::new();
    walk(tokens, &mut leaves, facts);
    let mut end = 0;
    for leaf in leaves {
        let token = &text[leaf.bytes.clone()];
        // A doc comment is several tokens, each with the comment's whole place.
        if leaf.bytes.start < end {
            continue;
        }
        comment(text, end..leaf.bytes.start, facts);
        if token.starts_with("//") || token.starts_with("/*") {
            comment(text, leaf.bytes.clone(), facts);
        } else if token.ends_with(['"', '#']) && token.len() > 1 {
            string(token, leaf.line, facts);
        }
        end = leaf.bytes.end;
    }
    comment(text, end..text.len(), facts);
    facts.comments.sort();
}

fn walk(tokens: TokenStream, leaves: &mut Vec<Leaf>, facts: &mut Facts) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let span = token.span();
        let line = span.start().line;
        match token {
            TokenTree::Group(group) => {
                let (open, close) = (group.span_open(), group.span_close());
                leaves.push(Leaf { bytes: open.byte_range(), line });
                walk(group.stream(), leaves, facts);
                leaves.push(Leaf { bytes: close.byte_range(), line: close.start().line });
                continue;
            }
            TokenTree::Ident(name) => {
                let name = name.to_string();
                if name == "unsafe" && tokens.peek().is_some_and(begins_unsafe) {
                    facts.unsafe_lines.push(line);
                }
                facts.identifiers.push((line, name));
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        leaves.push(Leaf { bytes: span.byte_range(), line });
    }
}

/// Whether `unsafe` before this token opens a block or an implementation.
fn begins_unsafe(next: &TokenTree) -> bool {
    match next {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Ident(name) => *name == "impl",
        _ => false,
    }
}

/// Between two tokens there is only space and comments.
fn comment(text: &str, bytes: Range<usize>, facts: &mut Facts) {
    if text[bytes.clone()].trim().is_empty() {
        return;
    }
    let first = text[..bytes.start].matches('\n').count() + 1;
    for (offset, line) in text[bytes].lines().enumerate() {
        if !line.trim().is_empty() {
            facts.comments.push((first + offset, line.trim().to_owned()));
        }
    }
}

fn string(token: &str, line: usize, facts: &mut Facts) {
    let inside = token.trim_start_matches(['b', 'c', 'r', '#']).trim_end_matches('#');
    let inside = inside.trim_start_matches('"').trim_end_matches('"');
    facts.strings.push((line, inside.to_owned()));
    facts.in_strings.extend((1..=inside.matches('\n').count()).map(|more| line + more));
}

/// The functions in a macro's tokens, also where they are no Rust yet: `proptest!` writes
/// `x in 0..9` among its arguments.
pub fn functions(tokens: TokenStream, found: &mut Vec<Function>) {
    // The `fn` that waits for its name, and then for its body.
    let mut begun: Option<(usize, Option<String>)> = None;
    for token in tokens {
        let first = token.span().start().line;
        match (token, &mut begun) {
            (TokenTree::Ident(word), _) if word == "fn" => begun = Some((first, None)),
            (TokenTree::Ident(word), Some((_, name @ None))) => *name = Some(word.to_string()),
            // The type of a pointer to a function, or a declaration without a body.
            (TokenTree::Group(group), Some((_, None))) => {
                begun = None;
                functions(group.stream(), found);
            }
            (TokenTree::Punct(sign), Some(_)) if sign.as_char() == ';' => begun = None,
            (TokenTree::Group(group), _) => {
                if group.delimiter() == Delimiter::Brace
                    && let Some((first, Some(name))) = begun.take()
                {
                    let lines = (first, group.span_close().end().line);
                    found.push(Function { name, lines });
                }
                functions(group.stream(), found);
            }
            _ => {}
        }
    }
}

/// The paths in a macro's tokens: names joined by `::`, single ones too, and `self.method(`.
pub fn paths(tokens: TokenStream, test: bool) -> (Vec<Named>, Vec<(usize, String)>) {
    let (mut found, mut calls) = (Vec::<Named>::new(), Vec::new());
    let mut pending: Option<Named> = None;
    let mut colons = 0;
    let mut dot_after_self = false;
    for token in tokens {
        let line = token.span().start().line;
        match token {
            TokenTree::Ident(name) => {
                let name = name.to_string();
                match &mut pending {
                    Some(path) if colons == 2 => path.path.push(name),
                    _ => {
                        if std::mem::take(&mut dot_after_self) {
                            calls.push((line, name.clone()));
                        }
                        found.extend(pending.take());
                        pending = Some(Named { path: vec![name], line, test });
                    }
                }
                colons = 0;
            }
            TokenTree::Punct(sign) if sign.as_char() == ':' => colons += 1,
            TokenTree::Punct(sign) => {
                dot_after_self = sign.as_char() == '.'
                    && pending.as_ref().is_some_and(|path| path.path == ["self"]);
                found.extend(pending.take());
                colons = 0;
            }
            TokenTree::Group(group) => {
                found.extend(pending.take());
                colons = 0;
                let (inner, inner_calls) = paths(group.stream(), test);
                found.extend(inner);
                calls.extend(inner_calls);
            }
            TokenTree::Literal(_) => {
                found.extend(pending.take());
                colons = 0;
            }
        }
    }
    found.extend(pending);
    (found, calls)
}

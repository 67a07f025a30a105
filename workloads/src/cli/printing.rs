//! How a report is asked for: the options that all tools of the repository share.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};

/// How a report is printed.
#[derive(Args, Clone, Copy, Debug)]
pub struct Printing {
    /// How the report is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,

    /// Colours in the report; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
}

/// How the report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal.
    Table,
    /// For a pull request.
    Markdown,
    /// For a program.
    Json,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Whether standard output gets colours.
    pub fn is_on(self) -> bool {
        // <https://no-color.org>: any value but the empty one.
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match self {
            Color::Auto => !no_color && std::io::stdout().is_terminal(),
            Color::Always => true,
            Color::Never => false,
        }
    }
}

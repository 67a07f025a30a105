//! The command that repeats a comparison.

use std::fmt::Write;

use crate::evidence::{Header, Lane};

/// As one types it in a shell. Rows by name only if they are few: else all were asked for.
pub fn repeat(header: &Header) -> String {
    let settings = &header.settings;
    let mut command =
        format!("cargo compare {} {}", quoted(&header.a.name), quoted(&header.b.name));
    let mut option = |name: &str, value: String| {
        let _ = write!(command, " --{name} {value}");
    };
    option("seed", header.seed.to_string());
    option("floor", number(settings.floor * 100.0));
    option("margin", number(settings.margin * 100.0));
    option("budget", format!("{}s", number(settings.budget_s)));
    if settings.lanes != Lane::ALL {
        let lanes: Vec<&str> = settings.lanes.iter().map(|lane| lane.name()).collect();
        option("lanes", lanes.join(","));
    }
    let mut rows: Vec<String> = settings.rows.iter().map(|row| quoted(&row.name)).collect();
    if rows.is_empty() {
        rows = header.also.iter().map(|also| quoted(&also.name)).collect();
    }
    if rows.len() <= FEW {
        option("rows", rows.join(","));
    }
    if let Some(recipe) = &settings.recipe {
        option("recipe", quoted(recipe));
    }
    if let Some(gate) = settings.instructions_gate {
        option("instructions", number(gate * 100.0));
    }
    command
}

/// All rows are more than so many.
const FEW: usize = 8;

/// Without digits that stand for nothing.
fn number(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// For a shell: in quotes, unless it needs none.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "./_-+=:@~^".contains(c);
    let plain = !text.is_empty() && !text.starts_with('~') && text.chars().all(plain);
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::repeat;
    use crate::evidence::fixtures::header;

    #[test]
    fn the_command_names_all_that_was_chosen() {
        let mut header = header(&["pair/64"]);
        header.b.name = "it's; here".to_owned();
        header.settings.instructions_gate = Some(0.005);
        header.settings.recipe = Some("other.toml".to_owned());
        assert_eq!(
            repeat(&header),
            concat!(
                r"cargo compare main 'it'\''s; here' --seed 7 --floor 1 --margin 3 --budget 300s",
                " --rows pair/64 --recipe other.toml --instructions 0.5"
            )
        );
    }
}

//! No table or picture that a command wrote was edited by hand.

use drystone_tidy::{CHECKSUM, CLOSE, END, GENERATED_BY, checksum};

use crate::violation::Violation;
use crate::workspace::Tree;

/// Sections whose checksum isn't that of what stands in them.
pub fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    let pictures = tree.files.iter().filter(|(path, _)| path.ends_with(".svg"));
    let pictures = pictures.map(|(path, file)| (path.as_str(), file.text.as_str()));
    for (path, text) in tree.markdown().chain(pictures) {
        let lines: Vec<&str> = text.lines().collect();
        let mut fenced = false;
        for (number, line) in lines.iter().enumerate() {
            fenced ^= line.trim_start().starts_with("```");
            if fenced {
                continue;
            }
            if let Some(command) = line.strip_prefix(GENERATED_BY) {
                let command = command.trim_end_matches(CLOSE);
                if let Err(says) = section(command, &lines[number + 1..]) {
                    found.push(Violation::new(path, number + 1, says));
                }
            } else if line.starts_with(CHECKSUM) && lines.get(number + 1) != Some(&END) {
                let says = format!("write '{END}' below the checksum");
                found.push(Violation::new(path, number + 1, says));
            }
        }
    }
    found
}

/// Looks at the lines after the opening of a section.
fn section(command: &str, lines: &[&str]) -> Result<(), String> {
    let end = lines.iter().position(|line| *line == END);
    let end = end.ok_or_else(|| format!("write '{END}' below what `{command}` printed"))?;
    if lines[..end].iter().any(|line| line.starts_with(GENERATED_BY)) {
        return Err(format!("write '{END}' below what `{command}` printed"));
    }
    let sealed = end.checked_sub(1).and_then(|last| lines[last].strip_prefix(CHECKSUM));
    let Some(sealed) = sealed else {
        return Err(format!("run `{command}` again: it writes no checksum above '{END}'"));
    };
    let table = lines[..end - 1].join("\n");
    if sealed.trim_end_matches(CLOSE) == checksum(command, &table) {
        Ok(())
    } else {
        Err(format!("edited by hand: run `{command}` and take what it prints"))
    }
}

#[cfg(test)]
mod tests {
    use drystone_tidy::seal;

    use super::*;
    use crate::planted::{package, shown};

    fn violations(document: &str) -> String {
        shown(check(&package(&[("README.md", document)])))
    }

    #[test]
    fn a_table_as_it_was_written_is_taken() {
        let document = format!("# A\n{}tail\n", seal("make table", "| a |\n|---|\n| 1 |\n"));
        assert_eq!(violations(&document), "");
    }

    #[test]
    fn an_edit_by_hand_fires() {
        let sealed = seal("make table", "| a |\n|---|\n| 1 |\n");
        let says = "README.md:1: edited by hand: run `make table` and take what it prints\n";
        assert_eq!(violations(&sealed.replace("| 1 |", "| 2 |")), says);
        let other = sealed.replace("make table", "make chair");
        assert!(violations(&other).contains("edited by hand: run `make chair`"));
    }

    #[test]
    fn an_edit_by_hand_of_a_picture_fires() {
        let sealed = seal("make picture", "<svg>\n<text>1</text>\n</svg>\n");
        let of = |text: &str| shown(check(&package(&[("docs/one.svg", text)])));
        assert_eq!(of(&sealed), "");
        let edited = of(&sealed.replace(">1<", ">2<"));
        assert!(
            edited.starts_with("docs/one.svg:1: edited by hand: run `make picture`"),
            "{edited}"
        );
    }

    #[test]
    fn a_section_without_an_end_or_a_checksum_fires() {
        let sealed = seal("make table", "| a |\n");
        let says = violations(&sealed.replace(END, ""));
        assert!(says.contains(&format!("README.md:1: write '{END}' below")), "{says}");
        let bare = format!("{GENERATED_BY}make table{CLOSE}\n| a |\n{END}\n");
        let says = violations(&bare);
        assert!(says.contains("README.md:1: run `make table` again"), "{says}");
    }
}

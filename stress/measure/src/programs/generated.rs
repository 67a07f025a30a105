//! What the programs work on: files made by rule, the same each time.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

/// A C program of `functions` functions that call each other, with structures, loops and switches.
pub fn c(functions: usize) -> String {
    let mut text = String::from(
        "#include <stdio.h>\n#include <string.h>\n#include <math.h>\n\n\
         struct stone { double weight; int number; struct stone *next; char name[32]; };\n",
    );
    for number in 0..functions {
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "\nstatic int course_{number}(struct stone *wall, int length)\n{{\n\
             \x20   double sum = {number}.5;\n\
             \x20   for (int i = 0; i < length; i++) {{\n\
             \x20       struct stone *stone = &wall[(i * {step}) % length];\n\
             \x20       switch ((stone->number + i) % 5) {{\n\
             \x20       case 0: sum += sqrt(stone->weight); break;\n\
             \x20       case 1: stone->number ^= {number}; break;\n\
             \x20       case 2: snprintf(stone->name, sizeof stone->name, \"stone %d of %d\", i, {number}); break;\n\
             \x20       case 3: stone->next = stone->next ? stone->next->next : wall; break;\n\
             \x20       default: sum -= (double)strlen(stone->name); break;\n\
             \x20       }}\n    }}\n",
            step = 1 + number % 13,
        );
        match number {
            0 => text.push_str("    return (int)sum;\n}\n"),
            _ => {
                let _ = write!(
                    text,
                    "    return (int)sum + (length > 1 ? course_{}(wall, length / 2) : 0);\n}}\n",
                    number / 2
                );
            }
        }
    }
    text.push_str("\nint main(void)\n{\n    static struct stone wall[100];\n    int sum = 0;\n");
    for number in 0..functions {
        let _ = writeln!(text, "    sum += course_{number}(wall, 100);");
    }
    text.push_str("    printf(\"%d\\n\", sum);\n    return 0;\n}\n");
    text
}

/// A C++ program that makes `classes` classes out of templates of the standard library.
pub fn cpp(classes: usize) -> String {
    let mut text = String::from(
        "#include <algorithm>\n#include <functional>\n#include <iostream>\n#include <map>\n\
         #include <memory>\n#include <string>\n#include <unordered_map>\n#include <variant>\n\
         #include <vector>\n",
    );
    for number in 0..classes {
        let _ = write!(
            text,
            "\nstruct Stone{number} {{\n\
             \x20   std::map<std::string, std::vector<Stone{number}>> below;\n\
             \x20   std::variant<int, std::string, std::unique_ptr<int>> mark;\n\
             \x20   int weight = {number};\n}};\n\n\
             static int lay{number}(int length)\n{{\n\
             \x20   std::vector<std::pair<std::string, std::function<int(int)>>> wall;\n\
             \x20   std::unordered_map<int, std::shared_ptr<Stone{number}>> stones;\n\
             \x20   for (int i = 0; i < length; i++) {{\n\
             \x20       stones[i] = std::make_shared<Stone{number}>();\n\
             \x20       stones[i]->mark = std::to_string(i);\n\
             \x20       wall.emplace_back(\"stone \" + std::to_string(i), [i](int k) {{ return i * k + {number}; }});\n\
             \x20   }}\n\
             \x20   std::sort(wall.begin(), wall.end(), [](auto &a, auto &b) {{ return a.first < b.first; }});\n\
             \x20   int sum = 0;\n\
             \x20   for (auto &[name, weigh] : wall)\n\
             \x20       sum += weigh(static_cast<int>(name.size())) + stones[0]->weight;\n\
             \x20   return sum;\n}}\n",
        );
    }
    text.push_str("\nint main()\n{\n    int sum = 0;\n");
    for number in 0..classes {
        let _ = writeln!(text, "    sum += lay{number}(10);");
    }
    text.push_str("    std::cout << sum << '\\n';\n}\n");
    text
}

/// Three folders of `files` text files each in `folder`, with enough in common to be packed as
/// differences.
///
/// # Errors
/// They can't be written.
pub fn stones(folder: &Path, files: usize) -> io::Result<()> {
    for lot in ["a", "b", "c"] {
        let folder = folder.join("stones").join(lot);
        fs::create_dir_all(&folder)?;
        for number in 0..files {
            let text: String = (0..60)
                .map(|line| {
                    format!("stone {} of wall {lot}\n", line * (1 + number % 7) + line * line)
                })
                .collect();
            fs::write(folder.join(format!("{number:04}.txt")), text)?;
        }
    }
    Ok(())
}

/// `files` small files, and a large one of some 8 MiB, in `folder`.
///
/// # Errors
/// They can't be written.
pub fn heap_of_files(folder: &Path, files: usize) -> io::Result<()> {
    let folder = folder.join("heap");
    fs::create_dir_all(&folder)?;
    for number in 0..files {
        let text = format!("stone {number}\n").repeat(1 + number % 40);
        fs::write(folder.join(format!("{number:05}")), text)?;
    }
    let large: String = (0..500_000_u64).map(|line| format!("{}\n", line * line)).collect();
    fs::write(folder.join("large"), large)
}

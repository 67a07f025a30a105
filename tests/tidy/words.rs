//! The words that this project doesn't use, each with what it writes instead.
//!
//! To ban a word, add a row: all its forms in lower case (words of a phrase with a space between
//! them, which also stands for `-`, `_` and the end of a line), what to write instead, where it is
//! looked for, and the beginnings of the paths where it is right.

/// A banned word.
pub struct Banned {
    pub forms: &'static [&'static str],
    /// Comes after "write".
    pub instead: &'static str,
    pub within: Where,
    /// Paths that begin so may use it.
    pub allowed: &'static [&'static str],
}

/// Where a word is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// In code, comments, documents, scripts and names of files.
    Everywhere,
    /// In identifiers alone: in prose it has a plain meaning as well.
    Identifiers,
    /// As the name of a module's file or folder.
    Modules,
}

/// Files that may use every word: what was, what a word means, and this list with its test.
pub const FREE: &[&str] =
    &["CHANGELOG.md", "docs/GLOSSARY.md", "tests/tidy/words.rs", "tests/tidy/checks/words.rs"];

const fn everywhere(forms: &'static [&'static str], instead: &'static str) -> Banned {
    Banned { forms, instead, within: Where::Everywhere, allowed: &[] }
}

const fn identifier(forms: &'static [&'static str], instead: &'static str) -> Banned {
    Banned { forms, instead, within: Where::Identifiers, allowed: &[] }
}

const fn module(forms: &'static [&'static str], instead: &'static str) -> Banned {
    Banned { forms, instead, within: Where::Modules, allowed: &[] }
}

/// The list.
pub const BANNED: &[Banned] = &[
    everywhere(
        &["favourite", "favourites", "favour", "favours", "favoured", "favorite"],
        "\"biased remote freer\" (`biased`)",
    ),
    // Old names of counts, which old records give, and two faults in the table that the zoo wrote.
    Banned {
        forms: &["hand out", "hand outs", "hands out", "handed out", "handing out"],
        instead: "\"allocation\", \"allocate\" or \"reuse\"",
        within: Where::Everywhere,
        allowed: &["docs/zoo.md", "stress/checker/src/counters", "stress/zoo/"],
    },
    // A word of its own for journals: `git log` and logarithms are others.
    Banned {
        forms: &["logged"],
        instead: "\"recorded\"",
        within: Where::Everywhere,
        allowed: &["stress/src/cmd/replay.rs", "stress/tests/tool/findings.rs"],
    },
    everywhere(&["unborn", "born"], "\"uncarved\" or \"carved\""),
    everywhere(&["orphan", "orphans", "orphaned", "orphaning"], "\"abandoned\""),
    everywhere(&["dissolve", "dissolves", "dissolved", "dissolving"], "\"park\" or \"abandon\""),
    everywhere(&["adopt", "adopts", "adopted", "adopting", "adoption", "adopter"], "\"reclaim\""),
    Banned {
        forms: &["at hand", "leave hand", "at its hand"],
        instead: "\"current\" or \"active\"",
        within: Where::Everywhere,
        allowed: &["stress/checker/src/counters"],
    },
    everywhere(&["foreign duel", "foreign duels"], "\"external double free\""),
    // An old name of the workload `double-free` and of its counts, which old campaigns, command
    // lines and records give.
    Banned {
        forms: &["duel", "duels", "duelist", "duellist", "duelling"],
        instead: "\"double free\"",
        within: Where::Everywhere,
        allowed: &[
            "stress/checker/src/counters",
            "workloads/src/registry.rs",
            "stress/src/model/spec.rs",
            "stress/src/plan/campaign_file.rs",
            "stress/tests/tool/help_cli.rs",
        ],
    },
    // Old names in old findings, campaign files, reports and command lines; and the subject of a
    // sentence.
    Banned {
        forms: &["subject", "subjects"],
        instead: "\"allocator\"",
        within: Where::Everywhere,
        allowed: &[
            "CONTRIBUTING.md",
            "results/src/site/input/",
            "stress/harness/src/allocators.rs",
            "stress/src/findings/store.rs",
            "stress/src/model/finding.rs",
            "stress/src/model/spec.rs",
            "stress/src/plan/campaign_file.rs",
            "stress/tests/tool/help_cli.rs",
        ],
    },
    // Old names in old files and command lines; and what others work on.
    Banned {
        forms: &["refuse", "refuses", "refused", "refusing", "refusal", "refusals"],
        instead: "\"inject\" of the OS, \"fail\" of a request, \"reject\" or \"usage error\"",
        within: Where::Everywhere,
        allowed: &[
            "docs/zoo.md",
            "stress/checker/src/counters/mod.rs",
            "stress/checker/src/journal/",
            "stress/checker/src/violation.rs",
            "stress/src/cmd/mod.rs",
            "stress/src/findings/store.rs",
            "stress/src/model/finding.rs",
            "stress/tests/tool/help_cli.rs",
        ],
    },
    everywhere(&["legal by then"], "\"raced with reuse\""),
    everywhere(&["conveyor", "conveyors"], "\"bounded queue\""),
    everywhere(&["how manieth"], "\"sequence number\""),
    everywhere(&["last words"], "\"crash handler\""),
    everywhere(&["but for"], "\"except\""),
    identifier(&["tally", "tallies"], "`counters`"),
    identifier(&["nearest"], "`suggested`"),
    identifier(&["mine"], "`local`"),
    identifier(&["theirs"], "`remote`"),
    // An old name of a count, which old records give.
    Banned {
        forms: &["issue", "issues", "issued", "issuing", "reissue", "reissued", "re issue"],
        instead: "\"allocate\" or \"reuse\"",
        within: Where::Everywhere,
        allowed: &["stress/checker/src/counters"],
    },
    identifier(&["take over", "takes over", "taken over", "took over"], "`reclaim`"),
    everywhere(&["take overs"], "\"reclaim\""),
    module(&["late"], "`deferred`"),
    module(&["front"], "`global`"),
    module(&["pages"], "`pagemap`"),
    module(&["refuse", "refuser"], "`inject`"),
    module(&["known"], "`suppressions`"),
    module(&["alarm"], "`violation`"),
    module(&["tally"], "`counters`"),
    module(&["sheet"], "`table`"),
    module(&["nearest"], "`suggest`"),
    module(&["human"], "`units`"),
    module(&["loaded"], "`dlopen_fixture`"),
    module(&["preloaded"], "`preload`"),
    module(&["hostile"], "`misuse`"),
    module(&["crew"], "`workers`"),
    // What a comparison must pass is a gate, too.
    Banned {
        forms: &["gate"],
        instead: "`barrier`",
        within: Where::Identifiers,
        allowed: &["results/"],
    },
    // The recorder writes a log, which is the field's word for it.
    Banned {
        forms: &["log"],
        instead: "`journal`",
        within: Where::Modules,
        allowed: &["recorder/"],
    },
];

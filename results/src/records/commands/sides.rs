//! The two sides of a comparison: read from records, or measured.
//!
//! Figures taken at different times differ by whatever else changed in between. So as soon as one
//! commit has to be measured, the other one is measured again with it, even if it has a record.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};

use super::commits::{Campaign, short};
use crate::interrupt::Interrupt;
use crate::records::cli::CompareArguments;
use crate::records::judge::{Side, check};
use crate::records::measure::Repository;
use crate::records::record::{Machine, Record, Settings, Store};

/// Both sides, ready to be compared.
pub struct Sides {
    /// The side compared from.
    pub a: Side,
    /// The side compared to.
    pub b: Side,
    /// Whether they were measured just now, and less than was asked for.
    pub cut_short: bool,
}

/// A side as the user gave it.
enum Given {
    File { path: PathBuf, record: Box<Record> },
    Commit { hash: String },
}

/// Gets both sides.
///
/// # Errors
/// If one is neither a record nor a commit, cannot be built or measured, or must not be compared
/// with the other, which is found out before anything is measured.
pub fn obtain(arguments: &CompareArguments, interrupt: &Interrupt) -> Result<Sides> {
    let names = [&arguments.a, &arguments.b];
    let given = [given(&arguments.a)?, given(&arguments.b)?];
    if let [Given::File { record: a, .. }, Given::File { record: b, .. }] = &given {
        check(a, b, arguments.any_machine)?;
    }
    let wanted = Wanted::new(arguments, &given)?;
    let Found { records, cut_short } = wanted.records(given, interrupt)?;
    let side = |name: &String, record| Side { name: name.clone(), record };
    let [a, b] = records;
    Ok(Sides { a: side(names[0], a), b: side(names[1], b), cut_short })
}

fn given(name: &str) -> Result<Given> {
    let path = PathBuf::from(name);
    if path.is_file() {
        let record = Record::read(&path)?;
        return Ok(Given::File { path: path.canonicalize()?, record: Box::new(record) });
    }
    ensure!(!name.ends_with(".json"), "there is no record file {name}");
    Ok(Given::Commit { hash: Repository::open()?.resolve(name)? })
}

/// What a record must be to serve.
struct Wanted<'a> {
    arguments: &'a CompareArguments,
    campaign: Campaign,
}

/// Both records.
struct Found {
    records: [Record; 2],
    cut_short: bool,
}

impl<'a> Wanted<'a> {
    /// A commit beside a file is measured as the file was; the command line may say so in other
    /// words, but not otherwise.
    fn new(arguments: &'a CompareArguments, given: &[Given; 2]) -> Result<Self> {
        let file = given.iter().find_map(|given| match given {
            Given::File { path, record } => Some((path, record)),
            Given::Commit { .. } => None,
        });
        let machine = Machine::this();
        let base = file.map_or_else(Settings::default, |(_, record)| record.settings.clone());
        let settings = arguments.measure.settings(&base);
        let commits = given.iter().any(|given| matches!(given, Given::Commit { .. }));
        if let (Some((path, record)), true) = (file, commits) {
            let shown = path.display();
            ensure!(
                settings == record.settings,
                "{shown} was measured with other settings than you ask for: leave out --warm-up, \
                 --measurement and --samples"
            );
            ensure!(
                arguments.any_machine || record.machine == machine,
                "{shown} is of another machine ({}), and the other side would be measured on this \
                 one ({}): measure both on one machine, or pass --any-machine",
                record.machine.name,
                machine.name
            );
        }
        let filter =
            arguments.filter.clone().or_else(|| file.and_then(|(_, record)| record.filter.clone()));
        let (runs, seed) = (arguments.measure.runs, arguments.seed);
        let campaign = Campaign { settings, filter, machine, runs, seed };
        Ok(Self { arguments, campaign })
    }

    /// The sides' records: from files, from the store if all commits have one, else measured.
    fn records(&self, given: [Given; 2], interrupt: &Interrupt) -> Result<Found> {
        let hashes: Vec<&String> = given
            .iter()
            .filter_map(|given| match given {
                Given::Commit { hash } => Some(hash),
                Given::File { .. } => None,
            })
            .collect();
        let mut cut_short = false;
        let mut of_commits = match self.stored(&hashes)? {
            Some(records) => records,
            None => {
                let measured = self.campaign.measure(&hashes, interrupt)?;
                cut_short = measured.cut_short;
                measured.records
            }
        }
        .into_iter();
        let records = given.map(|given| match given {
            Given::File { record, .. } => Some(*record),
            Given::Commit { .. } => of_commits.next(),
        });
        let [Some(a), Some(b)] = records else { bail!("a side was not measured") };
        Ok(Found { records: [a, b], cut_short })
    }

    /// The stored records of all these commits, or none, and says on stderr why.
    fn stored(&self, hashes: &[&String]) -> Result<Option<Vec<Record>>> {
        if hashes.is_empty() {
            return Ok(Some(Vec::new()));
        }
        if self.arguments.fresh {
            return Ok(None);
        }
        if let [a, b] = hashes
            && a == b
        {
            eprintln!("both sides are {}: it is measured twice, as if it were two", short(a));
            return Ok(None);
        }
        let repository = Repository::open()?;
        let store = Store::new(repository.root(), &self.campaign.machine);
        let mut records = Vec::new();
        for hash in hashes {
            match self.usable(&store, hash)? {
                Ok(record) => records.push(record),
                Err(reason) => {
                    eprintln!("{} is measured: {reason}", short(hash));
                    if hashes.len() > 1 {
                        eprintln!(
                            "the other commit is measured with it, even if it has a record: \
                             figures of different times are not comparable"
                        );
                    }
                    return Ok(None);
                }
            }
        }
        Ok(Some(records))
    }

    /// The commit's stored record, or why it will not do.
    fn usable(&self, store: &Store, hash: &str) -> Result<Result<Record, String>> {
        let Some(path) = store.find(hash, self.campaign.filter.as_deref()) else {
            return Ok(Err("it has no record of this machine and these benchmarks".to_owned()));
        };
        let record = Record::read(&path)?;
        ensure!(
            record.commit == hash && !record.dirty && record.machine == self.campaign.machine,
            "{} is not what its name says: delete it",
            path.display()
        );
        let (ran, runs) = (record.processes.len(), self.campaign.runs);
        Ok(if record.settings != self.campaign.settings {
            Err("its record has other settings".to_owned())
        } else if ran < runs {
            Err(format!("its record holds {ran} processes, and {runs} are asked for (--runs)"))
        } else {
            Ok(record)
        })
    }
}

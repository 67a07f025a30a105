//! Measuring commits: each written out and built, their processes interleaved, their records
//! stored.

use std::hash::{BuildHasher, Hasher};

use anyhow::{Context, Result, bail};

use super::busy::warn_if_busy;
use crate::interrupt::Interrupt;
use crate::records::measure::{
    self, Built, CargoBench, Ended, Event, Exported, Interrupted, Plan, Repository, Tree, build,
    check_target, rustc_version,
};
use crate::records::progress::Progress;
use crate::records::record::{Machine, Name, Origin, Record, Session, Settings, Store, utc_now};

/// How to measure commits.
pub struct Campaign {
    /// How to measure each benchmark.
    pub settings: Settings,
    /// Which benchmarks.
    pub filter: Option<String>,
    /// This machine.
    pub machine: Machine,
    /// Processes per commit.
    pub runs: usize,
    /// Where the order comes from; drawn if none is given.
    pub seed: Option<u64>,
}

/// What measuring brought.
pub struct Measured {
    /// In the order of the commits asked for.
    pub records: Vec<Record>,
    /// Whether fewer processes ran than were asked for.
    pub cut_short: bool,
}

impl Campaign {
    /// Builds these commits, measures them interleaved and stores their records.
    ///
    /// # Errors
    /// If one cannot be built, or a side has no finished process when the measurement ends.
    pub fn measure(&self, hashes: &[&String], interrupt: &Interrupt) -> Result<Measured> {
        let repository = Repository::open()?;
        warn_if_busy(&self.machine);
        let built = self.build(&repository, hashes, interrupt)?;
        let session = Session {
            started: utc_now(),
            seed: self.seed.unwrap_or_else(any_seed),
            runs: self.runs,
        };
        let rustcs: Vec<String> =
            built.iter().map(|built| rustc_version(&built.tree.root())).collect::<Result<_>>()?;
        let plan = Plan { sides: hashes.len(), runs: session.runs, seed: session.seed };
        eprintln!(
            "{} processes per side, in an order drawn from --seed {}",
            session.runs, session.seed
        );
        let measured = self.run(plan, built, hashes, interrupt);
        let cut_short = match measured.ended {
            Ended::Complete => false,
            Ended::Failed(error) if measured.sides.iter().any(Vec::is_empty) => return Err(error),
            Ended::Failed(error) => {
                eprintln!("error: {error:#}");
                eprintln!("comparing the processes that finished before");
                true
            }
            Ended::Interrupted if measured.sides.iter().any(Vec::is_empty) => {
                bail!("interrupted before each side had a finished process: nothing to compare")
            }
            Ended::Interrupted => {
                eprintln!("interrupted: comparing what was measured until now");
                true
            }
        };
        let mut records = Vec::new();
        for ((processes, hash), rustc) in measured.sides.into_iter().zip(hashes).zip(rustcs) {
            let origin = self.origin(hash, rustc);
            records.push(Record::new(origin, session.clone(), processes)?);
        }
        self.store(&repository, &records, cut_short)?;
        Ok(Measured { records, cut_short })
    }

    fn build(
        &self,
        repository: &Repository,
        hashes: &[&String],
        interrupt: &Interrupt,
    ) -> Result<Vec<Built>> {
        if repository.is_dirty()? {
            eprintln!("the working tree has changes: the commits are measured without them");
        }
        Exported::remove_leftovers()?;
        let mut trees = Vec::new();
        for hash in hashes {
            if interrupt.is_set() {
                return Err(Interrupted.into());
            }
            let exported = Exported::new(repository, hash)?;
            check_target(&exported.root(), &format!("commit {}", short(hash)))?;
            trees.push(exported);
        }
        let mut built = Vec::new();
        for (exported, hash) in trees.into_iter().zip(hashes) {
            eprintln!("building {}", short(hash));
            let executable = build(&exported.root(), Some(&exported.target()), interrupt)
                .with_context(|| format!("commit {}", short(hash)))?;
            built.push(Built { executable, tree: Tree::Commit(exported) });
        }
        Ok(built)
    }

    fn run(
        &self,
        plan: Plan,
        built: Vec<Built>,
        hashes: &[&String],
        interrupt: &Interrupt,
    ) -> measure::Measured {
        let (settings, filter) = (self.settings.clone(), self.filter.clone());
        let mut bench = CargoBench { sides: built, settings, filter, interrupt };
        let mut progress = Progress::new(plan.sides * plan.runs);
        measure::measure(plan, &mut bench, &mut |event| match event {
            Event::Started(side) => progress.started(short(hashes[side])),
            Event::Finished(side, count) => progress.finished(short(hashes[side]), count),
        })
    }

    fn origin(&self, hash: &str, rustc: String) -> Origin {
        Origin {
            commit: hash.to_owned(),
            dirty: false,
            machine: self.machine.clone(),
            rustc,
            settings: self.settings.clone(),
            filter: self.filter.clone(),
        }
    }

    /// Writes the records where the next comparison finds them. Of a commit measured twice, the
    /// first.
    fn store(&self, repository: &Repository, records: &[Record], partial: bool) -> Result<()> {
        let store = Store::new(repository.root(), &self.machine);
        let mut written: Vec<&str> = Vec::new();
        for record in records {
            let commit = record.commit.as_str();
            if !written.contains(&commit) {
                let filter = self.filter.as_deref();
                let path = store.path(Name { commit, dirty: false, filter, partial });
                record.write(&path)?;
                eprintln!("recorded {}", path.display());
                written.push(commit);
            }
        }
        Ok(())
    }
}

/// A commit's hash as people read it.
pub fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// A seed nobody chose. 32 bits, so that it is quickly retyped.
fn any_seed() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish() >> 32
}

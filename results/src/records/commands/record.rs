//! `results record`: measures the working tree and writes a record.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::busy::warn_if_busy;
use crate::exit::TOOL_FAILURE;
use crate::interrupt::Interrupt;
use crate::records::cli::RecordArguments;
use crate::records::measure::{
    self, Built, CargoBench, Ended, Event, Measured, Plan, Repository, Tree, build, check_target,
    rustc_version,
};
use crate::records::progress::Progress;
use crate::records::record::{Machine, Name, Origin, Record, Session, Settings, Store, utc_now};

/// Runs the subcommand; prints the record's path.
///
/// # Errors
/// If nothing could be measured or written.
pub fn run(arguments: &RecordArguments, interrupt: &Interrupt) -> Result<u8> {
    let repository = Repository::open()?;
    if let Some(output) = &arguments.output {
        Record::check_writable(output)?;
    }
    let origin = origin(arguments, &repository)?;
    check_target(repository.root(), "the working tree")?;
    warn_if_busy(&origin.machine);
    let built = Built {
        executable: build(repository.root(), None, interrupt)?,
        tree: Tree::Working(repository.root().to_owned()),
    };
    let session = Session { started: utc_now(), seed: 0, runs: arguments.measure.runs };
    let measured = measure(built, &origin, &session, interrupt);
    let output = arguments.output.as_deref();
    write(measured, origin, session, repository.root(), output)
}

fn origin(arguments: &RecordArguments, repository: &Repository) -> Result<Origin> {
    let dirty = repository.is_dirty()?;
    if dirty {
        eprintln!("the working tree has changes: the record is of them, not of the commit");
    }
    Ok(Origin {
        commit: repository.head()?,
        dirty,
        machine: Machine::this(),
        rustc: rustc_version(repository.root())?,
        settings: arguments.measure.settings(&Settings::default()),
        filter: arguments.filter.clone(),
    })
}

fn measure(built: Built, origin: &Origin, session: &Session, interrupt: &Interrupt) -> Measured {
    let Origin { settings, filter, .. } = origin.clone();
    let mut bench = CargoBench { sides: vec![built], settings, filter, interrupt };
    let mut progress = Progress::new(session.runs);
    let plan = Plan { sides: 1, runs: session.runs, seed: session.seed };
    measure::measure(plan, &mut bench, &mut |event| match event {
        Event::Started(_) => progress.started("the working tree"),
        Event::Finished(_, benchmarks) => progress.finished("the working tree", benchmarks),
    })
}

/// Writes what was measured, even if it is not all that was asked for; then the exit code is that
/// of a failure.
fn write(
    measured: Measured,
    origin: Origin,
    session: Session,
    root: &Path,
    output: Option<&Path>,
) -> Result<u8> {
    let Measured { mut sides, ended } = measured;
    let processes = sides.pop().unwrap_or_default();
    let partial = !matches!(ended, Ended::Complete);
    if processes.is_empty() {
        return match ended {
            Ended::Failed(error) => Err(error),
            _ => bail!("interrupted before a process was finished: nothing is recorded"),
        };
    }
    let (finished, asked) = (processes.len(), session.runs);
    let path = output.map_or_else(|| path(root, &origin, partial), Path::to_owned);
    let record = Record::new(origin, session, processes).context("cannot record")?;
    record.write(&path)?;
    crate::output::print(&format!("{}\n", path.display()))?;
    if let Ended::Failed(error) = &ended {
        eprintln!("error: {error:#}");
    }
    if partial {
        eprintln!("cut short: the record holds {finished} of {asked} processes");
    }
    Ok(if partial { TOOL_FAILURE } else { 0 })
}

fn path(root: &Path, origin: &Origin, partial: bool) -> PathBuf {
    let Origin { commit, dirty, filter, machine, .. } = origin;
    let name = Name { commit, dirty: *dirty, filter: filter.as_deref(), partial };
    Store::new(root, machine).path(name)
}

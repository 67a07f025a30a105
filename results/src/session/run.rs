//! The lanes, cheapest first, into a file of evidence.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::sides::{Besides, Sides};
use super::wishes::Wishes;
use crate::build::{EVIDENCE, hash_file};
use crate::date::utc_now;
use crate::evidence::{
    Also, End, Ended, Evidence, FORMAT, Header, Lane, Line, RowPlan, VERSION, Writer,
};
use crate::interrupt::Interrupt;
use crate::lanes::{self, Context, Library, Outcome, Word};
use crate::machine::Machine;
use crate::progress::Progress;

/// Measures; returns all that was measured, and the path of its file.
///
/// # Errors
/// If nothing could be measured.
pub fn run(sides: &Sides, wishes: &Wishes, interrupt: &Interrupt) -> Result<(Evidence, String)> {
    let gated = wishes.instructions.is_some() || wishes.lanes == [Lane::Instructions];
    ensure!(
        !gated || lanes::can_count(),
        "instructions can't be counted: install valgrind, or leave out --instructions"
    );
    let scratch = sides.home().scratch()?;
    let scripts = scratch.path().join("scripts");
    std::fs::create_dir(&scripts)?;
    let asked = asked(sides, wishes, scratch.path(), interrupt)?;
    lanes::scripts::unpack(&asked.rows, &scripts)?;
    let header = header(sides, wishes, &asked)?;
    let name = format!("{}-{:08x}", header.started.replace(':', ""), header.seed & 0xffff_ffff);
    let folder = sides.home().run(&name);
    let mut writer = Writer::create(&folder.join(EVIDENCE), &header)?;
    let lines = if asked.libraries.iter().all(|library| library.rows.is_empty()) {
        let end = Line::End(End { why: Ended::Identical, at_s: 0.0, failed: 0 });
        writer.append(&end)?;
        vec![end]
    } else {
        let mut progress = Progress::new(wishes.budget);
        let mut context = Context {
            libraries: asked.libraries,
            scratch: scratch.path().to_owned(),
            kept: folder,
            scripts,
            settings: &header.settings,
            until: wishes.until,
            writer: &mut writer,
            progress: &mut progress,
            interrupt,
            began: Instant::now(),
            deadline: Instant::now() + wishes.budget,
            seed: header.seed,
            lines: Vec::new(),
        };
        measure(&mut context)?;
        context.lines
    };
    let path = writer.path().display().to_string();
    Ok((Evidence { header, lines }, path))
}

/// What is measured, and what is not.
struct Asked {
    /// The sides themselves, without rows if they are identical; then the libraries besides that
    /// differ.
    libraries: Vec<Library>,
    /// Their rows; if there are none, those of the sides themselves that were asked for.
    rows: Vec<RowPlan>,
    also: Vec<Also>,
    /// Whether the sides themselves are identical, and so not measured.
    identical: bool,
}

fn asked(sides: &Sides, wishes: &Wishes, scratch: &Path, interrupt: &Interrupt) -> Result<Asked> {
    let mut rows = wishes.rows()?.into_iter();
    let own_rows = rows.next().unwrap_or_default();
    let mut own = sides.library(own_rows.clone(), scratch)?;
    let identical = !wishes.no_identical && own.is_same(scratch)?;
    if identical {
        own.rows.clear();
    }
    let (mut libraries, mut also) = (vec![own], Vec::new());
    let besides = Besides {
        sides,
        folder: scratch,
        even_same: wishes.no_identical,
        needed: own_rows.is_empty(),
        interrupt,
    };
    for (one, rows) in wishes.also.iter().zip(rows).filter(|(_, rows)| !rows.is_empty()) {
        let (said, library) = besides.library(one, rows)?;
        also.push(said);
        libraries.extend(library);
    }
    let mut rows: Vec<RowPlan> =
        libraries.iter().flat_map(|library| library.rows.clone()).collect();
    if rows.is_empty() {
        rows = own_rows;
    }
    Ok(Asked { libraries, rows, also, identical })
}

fn header(sides: &Sides, wishes: &Wishes, asked: &Asked) -> Result<Header> {
    Ok(Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        started: utc_now(),
        seed: wishes.seed(),
        harness: harness()?,
        toolchain: sides.toolchain()?,
        machine: Machine::this(),
        a: sides.side(0)?,
        b: sides.side(1)?,
        settings: wishes.settings(asked.rows.clone()),
        also: asked.also.clone(),
        identical: asked.identical,
    })
}

/// BLAKE3 of this program, 16 digits.
///
/// # Errors
/// If it cannot be read.
pub fn harness() -> Result<String> {
    let program = std::env::current_exe().context("cannot find this program")?;
    Ok(hash_file(&program)?[..16].to_owned())
}

/// The lanes, and the line that says how they ended.
fn measure(context: &mut Context) -> Result<()> {
    let measured = lanes(context);
    // Whatever happened, what was measured is kept and judged.
    let outcome = match &measured {
        Ok(outcome) => *outcome,
        Err(_) => Outcome { why: Ended::Failed, failed: 0 },
    };
    let at_s = context.at_s();
    context.keep(Line::End(End { why: outcome.why, at_s, failed: outcome.failed }))?;
    match measured {
        // Nothing to report: the error is the report.
        Err(error) if context.lines.len() == 1 => Err(error),
        Err(error) => {
            eprintln!("error: {error:#}");
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

fn lanes(context: &mut Context) -> Result<Outcome> {
    let lanes = context.settings.lanes.clone();
    let wanted = |lane| lanes.contains(&lane);
    let interrupted = Outcome { why: Ended::Interrupted, failed: 0 };
    let is_measured = !context.libraries[0].rows.is_empty();
    if wanted(Lane::Correctness) && is_measured {
        context.progress.phase("looking for wrong results");
        match lanes::correctness(context)? {
            Word::Fine => {}
            Word::Veto => return Ok(Outcome { why: Ended::Vetoed, failed: 0 }),
            Word::Interrupted => return Ok(interrupted),
        }
    }
    if wanted(Lane::Instructions) && lanes::can_count() {
        context.progress.phase("counting instructions");
        for at in 0..context.libraries.len() {
            if lanes::instructions(context, at)? {
                return Ok(interrupted);
            }
        }
    }
    if wanted(Lane::Memory) && is_measured {
        context.progress.phase("measuring memory");
        if lanes::memory(context)? {
            return Ok(interrupted);
        }
    }
    if wanted(Lane::Time) {
        context.progress.phase("measuring time");
        return lanes::time(context);
    }
    Ok(Outcome { why: Ended::Decided, failed: 0 })
}

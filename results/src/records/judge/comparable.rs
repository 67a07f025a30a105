//! Whether two records may be compared at all, and what to know when they are.

use anyhow::{Result, ensure};

use super::side::Side;
use crate::records::record::{Machine, Record, Settings};

/// Fails, in one sentence, unless the records may be compared.
///
/// # Errors
/// If they are one and the same measurement, were measured with different settings, or on different
/// machines and `any_machine` is not set.
pub fn check(a: &Record, b: &Record, any_machine: bool) -> Result<()> {
    ensure!(
        !is_same(a, b),
        "both sides are the same record, which shows no change whatever happened: give two, or a \
         commit twice to have it measured twice"
    );
    ensure!(
        a.settings == b.settings,
        "the records were measured with different settings, {} against {}: measure one of them \
         again with the other's",
        settings(&a.settings),
        settings(&b.settings)
    );
    ensure!(
        any_machine || a.machine == b.machine,
        "the records are of different machines, {} against {}: compare records of one machine, or \
         pass --any-machine to compare them all the same",
        machine(&a.machine),
        machine(&b.machine)
    );
    Ok(())
}

/// What a reader must know of two comparable records before believing a verdict: a sentence each.
pub fn notes(a: &Side, b: &Side) -> Vec<String> {
    let mut notes = Vec::new();
    if a.record.session != b.record.session {
        notes.push(
            "A and B were not measured together: whatever else changed on the machine in between \
             counts as a change of the code. `--fresh` measures two commits anew, interleaved."
                .to_owned(),
        );
    }
    if a.record.machine != b.record.machine {
        let (a, b) = (machine(&a.record.machine), machine(&b.record.machine));
        notes.push(format!("The machines differ: {a} against {b}."));
    }
    if a.record.rustc != b.record.rustc {
        let (a, b) = (&a.record.rustc, &b.record.rustc);
        notes.push(format!("The compilers differ: {a} against {b}."));
    }
    if a.record.filter != b.record.filter {
        notes.push(
            "A and B were measured with different filters: a benchmark may be missing only \
             because it was not run."
                .to_owned(),
        );
    }
    for (letter, side) in [("A", a), ("B", b)] {
        let Record { dirty, session, processes, .. } = &side.record;
        if *dirty {
            notes.push(format!("{letter} is of a tree with changes that were not committed."));
        }
        if processes.len() < session.runs {
            let (ran, asked) = (processes.len(), session.runs);
            notes.push(format!("{letter} was cut short: {ran} of {asked} processes ran."));
        }
    }
    notes
}

/// Whether the records are one measurement, whatever their files are called. Two sides of one
/// session never are: their processes have different places in it.
fn is_same(a: &Record, b: &Record) -> bool {
    a.commit == b.commit && a.date == b.date && a.session == b.session && a.processes == b.processes
}

fn settings(settings: &Settings) -> String {
    let Settings { warm_up_ms, measurement_ms, samples, resamples } = settings;
    format!(
        "warm-up {warm_up_ms} ms, measurement {measurement_ms} ms, {samples} samples, {resamples} \
         resamples"
    )
}

fn machine(machine: &Machine) -> String {
    let Machine { name, cpu, cores, kernel, .. } = machine;
    format!("{name} ({cpu}, {cores} cores, kernel {kernel})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::record::fixtures::record;

    fn pair() -> (Record, Record) {
        (record("aaaa", &[("x/y/z", &[1.0])]), record("bbbb", &[("x/y/z", &[1.0])]))
    }

    fn said(a: Record, b: Record) -> Vec<String> {
        let side = |record| Side { name: "name".to_owned(), record };
        notes(&side(a), &side(b))
    }

    #[test]
    fn different_machines_are_rejected_unless_asked_for() {
        let (a, mut b) = pair();
        assert!(check(&a, &b, false).is_ok());
        b.machine = Machine::new("Other CPU", 4, "x86_64", "6.1.0");
        let rejection = check(&a, &b, false).unwrap_err().to_string();
        assert!(
            rejection.contains("--any-machine") && rejection.contains("Other CPU"),
            "{rejection}"
        );
        assert!(check(&a, &b, true).is_ok());
        assert!(said(a, b).concat().contains("machines differ"));
    }

    #[test]
    fn a_record_and_its_copy_are_rejected() {
        let (a, b) = pair();
        let rejection = check(&a, &a.clone(), true).unwrap_err().to_string();
        assert!(rejection.contains("the same record"), "{rejection}");
        assert!(check(&a, &b, false).is_ok(), "another commit");
        let mut other = a.clone();
        other.processes[0].position += 1;
        assert!(check(&a, &other, false).is_ok(), "the other side of the same session");
    }

    #[test]
    fn different_settings_are_rejected_always() {
        let (a, mut b) = pair();
        b.settings.samples += 1;
        let rejection = check(&a, &b, true).unwrap_err().to_string();
        assert!(
            rejection.contains("20 samples") && rejection.contains("21 samples"),
            "{rejection}"
        );
    }

    #[test]
    fn what_a_reader_must_know_is_said() {
        let (a, b) = pair();
        assert_eq!(said(a.clone(), b.clone()), Vec::<String>::new());
        let mut later = b.clone();
        later.session.seed += 1;
        assert!(said(a.clone(), later).concat().contains("not measured together"));
        let mut newer = b.clone();
        newer.rustc = "rustc 1.96.0".to_owned();
        assert!(said(a.clone(), newer).concat().contains("compilers differ"));
        let mut fewer = b.clone();
        fewer.filter = Some("pair".to_owned());
        assert!(said(a.clone(), fewer).concat().contains("different filters"));
        let mut changed = b.clone();
        changed.dirty = true;
        assert!(said(a.clone(), changed).concat().contains("B is of a tree with changes"));
        let (mut short, mut other) = (a, b);
        short.session.runs = 5;
        other.session.runs = 5;
        assert!(said(short, other).concat().contains("A was cut short: 1 of 5"));
    }
}

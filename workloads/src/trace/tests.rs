//! Tests of both file forms, of the rebuilding and of the folding, against made-up histories and
//! hostile bytes.

use proptest::prelude::*;

use super::packed::Coding;
use super::raw::{Event, Record, offset, state};
use super::*;

fn op(thread: u32, kind: Kind) -> Op {
    Op { thread, kind }
}

/// A possible history from arbitrary numbers: what is drawn is bent to what the history allows.
fn history(draws: &[(u8, u8, u32, usize)]) -> Vec<Op> {
    let (mut live, mut births, mut threads) = (Vec::new(), 0, 0);
    let mut ops = Vec::new();
    for &(choice, thread, which, size) in draws {
        let thread = u32::from(thread % 5).min(threads);
        threads = threads.max(thread + 1);
        let block = births;
        let kind = match choice % 6 {
            0 => Kind::Calloc { block, size },
            1 => Kind::AlignedAlloc { block, size, align: 1 << (which % 22) },
            2 | 3 if !live.is_empty() => {
                let ended = live.swap_remove(which as usize % live.len());
                match choice % 6 {
                    2 => Kind::Free { block: ended },
                    _ => Kind::Realloc { from: ended, to: block, size },
                }
            }
            _ => Kind::Malloc { block, size },
        };
        if let Some(made) = kind.made() {
            live.push(made);
            births += 1;
        }
        ops.push(op(thread, kind));
    }
    ops
}

fn draws() -> impl Strategy<Value = Vec<(u8, u8, u32, usize)>> {
    let size = prop_oneof![0usize..300, 0usize..(1 << 40)];
    prop::collection::vec((any::<u8>(), any::<u8>(), any::<u32>(), size), 1..200)
}

fn packed_bytes(trace: &Trace, coding: Coding) -> Vec<u8> {
    let mut bytes = Vec::new();
    packed::write(trace, coding, &mut bytes).unwrap();
    bytes
}

fn raw_file(slots: &[[u64; 4]]) -> Vec<u8> {
    let mut bytes = vec![0; raw::HEADER_BYTES];
    let command = b"prog\0two words\0it's\0";
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(offset::MAGIC, &raw::MAGIC);
    put(offset::VERSION, &raw::VERSION.to_le_bytes());
    put(offset::HEADER_BYTES, &(raw::HEADER_BYTES as u32).to_le_bytes());
    put(offset::RECORD_BYTES, &(raw::RECORD_BYTES as u32).to_le_bytes());
    put(offset::STATE, &state::RECORDING.to_le_bytes());
    put(offset::COMMAND_BYTES, &(command.len() as u32).to_le_bytes());
    put(offset::COMMAND, command);
    for word in slots.iter().flatten() {
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    bytes
}

fn slot(event: Event, thread: u32, address: u64, size: u64, begin: u64) -> [u64; 4] {
    Record { event, align_log2: 0, thread, address, size, begin }.encode()
}

const HOLE: [u64; 4] = [0; 4];

proptest! {
    #[test]
    fn both_codings_come_back_as_they_went(draws in draws(), command in ".{0,40}") {
        let trace = Trace::new(&command, history(&draws)).unwrap();
        for coding in [Coding::Zstd, Coding::Plain] {
            let back = Trace::parse(&packed_bytes(&trace, coding)[..]).unwrap();
            prop_assert_eq!(&back, &trace);
        }
    }

    #[test]
    fn damaged_packed_bytes_are_rejected_or_still_a_history(
        draws in draws(),
        plain in any::<bool>(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let trace = Trace::new("x", history(&draws)).unwrap();
        let mut bytes = packed_bytes(&trace, if plain { Coding::Plain } else { Coding::Zstd });
        for (place, value) in hits {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Ok(trace) = Trace::parse(&bytes[..]) {
            prop_assert!(trace.validate().is_ok());
        }
    }

    #[test]
    fn cut_packed_bytes_are_rejected(
        draws in draws(),
        plain in any::<bool>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let trace = Trace::new("x", history(&draws)).unwrap();
        let bytes = packed_bytes(&trace, if plain { Coding::Plain } else { Coding::Zstd });
        prop_assert!(Trace::parse(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn any_body_behind_a_good_header_is_rejected_or_a_history(
        body in prop::collection::vec(any::<u8>(), 0..300),
        ops in 0u64..200,
    ) {
        let trace = Trace::new("x", history(&[(5, 0, 0, 1)])).unwrap();
        let mut bytes = packed_bytes(&trace, Coding::Plain);
        bytes.truncate(73);
        bytes[16..24].copy_from_slice(&ops.to_le_bytes());
        bytes.extend(body);
        if let Ok(trace) = Trace::parse(&bytes[..]) {
            prop_assert!(trace.validate().is_ok());
        }
    }

    #[test]
    fn any_raw_slots_are_rejected_or_a_history(
        slots in prop::collection::vec((0u8..10, 0u64..4, 0u64..6, any::<u64>(), 0u64..60), 0..200),
        tail in 0usize..40,
    ) {
        let slots: Vec<[u64; 4]> = slots
            .iter()
            .map(|&(event, thread, address, size, begin)| {
                let align = size % 70;
                [u64::from(event) | align << 8 | thread << 32, address, size >> (size % 64), begin]
            })
            .collect();
        let mut bytes = raw_file(&slots);
        bytes.truncate(bytes.len() - tail);
        if let Ok(trace) = Trace::from_raw(&bytes) {
            prop_assert!(trace.validate().is_ok());
        }
    }

    #[test]
    fn folded_lists_hold_every_step_and_never_deadlock(
        draws in draws(),
        workers in 1usize..7,
        turns in prop::collection::vec(any::<prop::sample::Index>(), 400),
    ) {
        let trace = Trace::new("x", history(&draws)).unwrap();
        let lists = trace.fold(workers);
        let mut done = vec![0usize; workers];
        let mut seen = vec![false; trace.ops().len()];
        let mut live = vec![false; trace.blocks() as usize];
        let mut turns = turns.into_iter().cycle();
        while done.iter().zip(&lists).any(|(done, list)| *done < list.len()) {
            let ready: Vec<usize> = (0..workers)
                .filter(|&w| lists[w].get(done[w]).is_some_and(|step| {
                    step.awaits
                        .is_none_or(|other| done[other.worker as usize] > other.step as usize)
                }))
                .collect();
            prop_assert!(!ready.is_empty(), "all workers wait");
            let worker = ready[turns.next().unwrap().index(ready.len())];
            let step = lists[worker][done[worker]];
            prop_assert_eq!(step.op, trace.ops()[step.index as usize]);
            prop_assert!(!std::mem::replace(&mut seen[step.index as usize], true));
            if let Some(ended) = step.op.kind.ended() {
                let lived = std::mem::replace(&mut live[ended as usize], false);
                prop_assert!(lived, "ended before its birth");
            }
            if let Some(made) = step.op.kind.made() {
                live[made as usize] = true;
            }
            done[worker] += 1;
        }
        prop_assert!(seen.into_iter().all(|seen| seen));
    }
}

#[test]
fn a_realloc_ends_its_block_at_its_begin() {
    // Thread 2 is given the old address while thread 1's realloc is still on its way.
    let bytes = raw_file(&[
        slot(Event::Malloc, 1, 0x10, 100, 0),
        slot(Event::ReallocBegin, 1, 0x10, 200, 0),
        slot(Event::Malloc, 2, 0x10, 50, 0),
        slot(Event::ReallocEnd, 1, 0x20, 200, 1),
        slot(Event::Free, 2, 0x10, 0, 0),
    ]);
    let trace = Trace::from_raw(&bytes).unwrap();
    let expected = [
        op(0, Kind::Malloc { block: 0, size: 100 }),
        op(1, Kind::Malloc { block: 1, size: 50 }),
        op(0, Kind::Realloc { from: 0, to: 2, size: 200 }),
        op(1, Kind::Free { block: 1 }),
    ];
    assert_eq!(trace.ops(), expected);
    assert_eq!(trace.gaps(), Gaps::default());
    assert_eq!(trace.command(), r"prog 'two words' 'it'\''s'");
    assert_eq!((trace.threads(), trace.blocks(), trace.peak_live_bytes()), (2, 3, 250));
    assert_eq!((trace.left_blocks(), trace.left_bytes()), (1, 200));
}

#[test]
fn failed_and_freeing_reallocs() {
    let bytes = raw_file(&[
        slot(Event::Malloc, 7, 0x10, 100, 0),
        slot(Event::ReallocBegin, 7, 0x10, 1 << 62, 0),
        slot(Event::ReallocFailed, 7, 0, 1 << 62, 1),
        slot(Event::ReallocBegin, 7, 0x10, 0, 0),
        slot(Event::ReallocFreed, 7, 0, 0, 3),
    ]);
    let trace = Trace::from_raw(&bytes).unwrap();
    let expected = [op(0, Kind::Malloc { block: 0, size: 100 }), op(0, Kind::Free { block: 0 })];
    assert_eq!(trace.ops(), expected);
}

#[test]
fn what_the_recording_missed_is_counted() {
    let bytes = raw_file(&[
        slot(Event::Free, 1, 0x90, 0, 0),
        slot(Event::ReallocBegin, 1, 0xa0, 10, 0),
        slot(Event::ReallocEnd, 1, 0xb0, 10, 1),
        HOLE,
        slot(Event::Malloc, 1, 0xb0, 20, 0),
        HOLE,
        HOLE,
    ]);
    let trace = Trace::from_raw(&bytes).unwrap();
    let expected = [
        op(0, Kind::Malloc { block: 0, size: 10 }),
        op(0, Kind::Free { block: 0 }),
        op(0, Kind::Malloc { block: 1, size: 20 }),
    ];
    assert_eq!(trace.ops(), expected);
    let gaps = Gaps { foreign_frees: 2, missed_frees: 1, holes: 1, stopped: 0 };
    assert_eq!(trace.gaps(), gaps);
    let back = Trace::parse(&packed_bytes(&trace, Coding::Zstd)[..]).unwrap();
    assert_eq!(back.gaps(), gaps);
}

#[test]
fn a_recorder_that_gave_up_is_remembered() {
    let mut bytes = raw_file(&[slot(Event::Malloc, 1, 0x10, 1, 0)]);
    bytes[offset::STATE] = state::STOPPED as u8;
    bytes[offset::ERRNO] = 28;
    let trace = Trace::from_raw(&bytes).unwrap();
    assert_eq!(trace.gaps().stopped, 28);
    let back = Trace::parse(&packed_bytes(&trace, Coding::Plain)[..]).unwrap();
    assert_eq!(back.gaps().stopped, 28);
}

/// Each rejection, in the words that the user reads.
#[test]
fn rejections() {
    let trace = Trace::new("x", vec![op(0, Kind::Malloc { block: 0, size: 1 })]).unwrap();
    let good = packed_bytes(&trace, Coding::Zstd);
    let with = |place: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[place] = value;
        bytes
    };
    let newer_raw = {
        let mut bytes = raw_file(&[]);
        bytes[offset::VERSION] = 9;
        bytes
    };
    let only_foreign = raw_file(&[slot(Event::Free, 1, 0x10, 0, 0)]);
    let table: [(&str, Vec<u8>, &str); 10] = [
        ("nothing", vec![], "not an allocation trace"),
        ("text", b"#!/bin/sh\necho\n".to_vec(), "not an allocation trace"),
        ("newer", with(8, 2), "this packed trace has version 2, and this build reads version 1"),
        ("newer raw", newer_raw, "this raw trace has version 9"),
        ("header", good[..40].to_vec(), "ends inside the header"),
        ("frame", good[..good.len() - 1].to_vec(), "damaged"),
        ("checksum", with(good.len() - 1, good[good.len() - 1] ^ 1), "damaged"),
        ("peak", with(32, 77), "damaged (the header says"),
        ("empty", raw_file(&[HOLE, HOLE]), "holds no operations (0 raw records)"),
        ("foreign", only_foreign, "holds no operations (1 raw records)"),
    ];
    for (name, bytes, words) in table {
        let said = Trace::parse(&bytes[..]).unwrap_err().to_string();
        assert!(said.contains(words), "{name}: {said}");
    }
}

#[test]
fn impossible_histories() {
    let malloc = |block| Kind::Malloc { block, size: 8 };
    let table: [(Vec<Op>, Impossible); 7] = [
        (vec![op(0, Kind::Free { block: 0 })], Impossible::NotLive(0)),
        (
            vec![op(0, malloc(0)), op(0, Kind::Free { block: 0 }), op(0, Kind::Free { block: 0 })],
            Impossible::NotLive(0),
        ),
        (
            vec![op(0, malloc(0)), op(0, Kind::Realloc { from: 1, to: 1, size: 1 })],
            Impossible::NotLive(1),
        ),
        (vec![op(0, malloc(1))], Impossible::OutOfTurn { found: 1, expected: 0 }),
        (vec![op(1, malloc(0))], Impossible::UnknownThread { found: 1, expected: 0 }),
        (
            vec![op(0, Kind::AlignedAlloc { block: 0, size: 1, align: 24 })],
            Impossible::Alignment(24),
        ),
        (vec![op(0, Kind::Calloc { block: 0, size: usize::MAX })], Impossible::Size(1 << 63)),
    ];
    for (ops, reason) in table {
        let index = ops.len() - 1;
        let invalid = Invalid { index, reason };
        assert_eq!(Trace::new("", ops).unwrap_err(), Problem::Invalid(invalid));
    }
    assert_eq!(Trace::new("", vec![]).unwrap_err(), Problem::Empty { records: 0 });
}

/// A header that claims many operations costs no memory before they come.
#[test]
fn a_claim_is_not_believed() {
    let trace = Trace::new("x", vec![op(0, Kind::Malloc { block: 0, size: 1 })]).unwrap();
    let mut bytes = packed_bytes(&trace, Coding::Plain);
    bytes[16..24].copy_from_slice(&(MAX_OPS as u64).to_le_bytes());
    assert_eq!(
        Trace::parse(&bytes[..]).unwrap_err(),
        Problem::Truncated { inside: "the operations" }
    );
    bytes[16..24].copy_from_slice(&(MAX_OPS as u64 + 1).to_le_bytes());
    assert_eq!(Trace::parse(&bytes[..]).unwrap_err(), Problem::TooLong);
}

#[test]
fn files_are_named_in_errors_and_no_temporary_stays() {
    let folder = tempfile::tempdir().unwrap();
    let trace = Trace::new("x", vec![op(0, Kind::Malloc { block: 0, size: 1 })]).unwrap();
    let file = folder.path().join("a.trace");
    trace.write(&file).unwrap();
    assert_eq!(Trace::read(&file).unwrap(), trace);
    trace.write_plain(&file).unwrap();
    assert_eq!(Trace::read(&file).unwrap(), trace);

    let gone = folder.path().join("none/a.trace");
    let said = trace.write(&gone).unwrap_err().to_string();
    assert!(said.starts_with("cannot create ") && said.contains("none/a.trace"), "{said}");
    let said = Trace::read(&gone).unwrap_err().to_string();
    assert!(said.starts_with("cannot open ") && said.contains("none/a.trace"), "{said}");
    let said = Trace::read(folder.path()).unwrap_err().to_string();
    assert!(said.starts_with("cannot read "), "{said}");
    let inside = folder.path().join("folder");
    std::fs::create_dir(&inside).unwrap();
    let said = trace.write(&inside).unwrap_err().to_string();
    assert!(said.starts_with("cannot rename the finished trace to "), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "a.trace and the folder");
}

#[test]
fn a_command_is_cut_between_characters() {
    let mut trace = Trace::new("x", vec![op(0, Kind::Malloc { block: 0, size: 1 })]).unwrap();
    trace.set_command("é".repeat(COMMAND_LIMIT));
    assert_eq!(trace.command().len(), COMMAND_LIMIT);
    trace.set_command(format!("x{}", "é".repeat(COMMAND_LIMIT)));
    assert_eq!(trace.command().len(), COMMAND_LIMIT - 1);
    assert_eq!(Trace::parse(&packed_bytes(&trace, Coding::Zstd)[..]).unwrap(), trace);
}

#[test]
fn slots_survive_their_encoding() {
    for number in 0..=u8::MAX {
        let Some(event) = Event::from_number(number) else { continue };
        assert_eq!(event as u8, number);
        let record = Record {
            event,
            align_log2: 12,
            thread: u32::MAX,
            address: u64::MAX - 1,
            size: 1 << 63,
            begin: (1 << 56) - 1,
        };
        let mut bytes = [0; raw::RECORD_BYTES];
        for (place, word) in bytes.chunks_mut(8).zip(record.encode()) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        assert_eq!(Record::decode(&bytes), Ok(Some(record)));
        assert_eq!(bytes[31], 0, "the recorder's reservation writes here");
    }
}

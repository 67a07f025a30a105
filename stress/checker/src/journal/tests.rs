//! Tests of both sides together.

use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use crate::clock::Ticks;
use crate::journal::call::{Call, Name};
use crate::journal::encode::{LONGEST, encode, put, zigzag};
use crate::journal::kept::{Journal, JournalError};
use crate::journal::layout::{HEADER, SLACK, State};
use crate::journal::reader::{Entries, Entry};
use crate::journal::store::Store;
use crate::journal::writer::{Part, begin, part};

fn name() -> impl Strategy<Value = Name> {
    (0usize..3, 0u64..1 << 42).prop_map(|(owner, sequence)| Name { owner, sequence })
}

fn call() -> impl Strategy<Value = Call> {
    let size = any::<usize>;
    prop_oneof![
        size().prop_map(|size| Call::Malloc { size }),
        (size(), size()).prop_map(|(count, size)| Call::Calloc { count, size }),
        (size(), size()).prop_map(|(alignment, size)| Call::AlignedAlloc { alignment, size }),
        size().prop_map(|size| Call::ReallocNull { size }),
        Just(Call::FreeNull),
        (name(), size()).prop_map(|(block, size)| Call::Realloc { block, size }),
        name().prop_map(|block| Call::Free { block }),
        name().prop_map(|block| Call::Verify { block }),
        (name(), size()).prop_map(|(block, size)| Call::ImpossibleResize { block, size }),
        size().prop_map(|size| Call::ImpossibleMalloc { size }),
        (size(), size()).prop_map(|(count, size)| Call::ImpossibleCalloc { count, size }),
        (size(), size()).prop_map(|(alignment, size)| Call::ImpossibleAligned { alignment, size }),
        Just(Call::Rest),
        Just(Call::Begin),
        Just(Call::End),
        name().prop_map(|block| Call::GiveUp { block }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        calls in prop::collection::vec((call(), any::<u32>(), any::<u64>()), 0..50),
        worker in 0usize..3,
    ) {
        let mut bytes = Vec::new();
        let mut next = Name { owner: worker, sequence: 0 };
        let (mut time, mut last, mut expected) = (0, 0u64, Vec::new());
        for (call, since, address) in calls {
            let mut entry = [0; LONGEST];
            let length = encode(&mut entry, call, since.into(), next);
            bytes.extend(&entry[..length]);
            time += u64::from(since);
            let mut block = call.block();
            if call.allocates() {
                block = Some(next);
                next.sequence += 1;
            }
            let address = call.returns().then_some(address);
            if let Some(address) = address {
                let mut at = 0;
                put(&mut entry, &mut at, zigzag(address.wrapping_sub(last)));
                bytes.extend(&entry[..at]);
                last = address;
            }
            expected.push(Entry { worker, at: time, call, block, address });
        }
        prop_assert_eq!(Entries::new(&bytes, worker).collect::<Vec<_>>(), expected);
        let journal = Journal { parts: vec![bytes], full: false };
        prop_assert_eq!(Journal::from_bytes(&journal.to_bytes()), Ok(journal));
    }
}

#[test]
fn a_part_that_fills_up_stops_the_episode_and_says_so() {
    static STOP: AtomicBool = AtomicBool::new(false);
    fn stop() {
        STOP.store(true, Ordering::Relaxed);
    }
    let store = Store::new(1).unwrap();
    store.clear().unwrap();
    begin(&store.path(), 1, stop).unwrap();
    // SAFETY: no other thread of this test writes.
    let part = unsafe { part(0) }.unwrap();
    let mut calls = 0u64;
    while store.read_state_full() == 0 {
        part.call(Call::Malloc { size: usize::MAX });
        part.returned(if calls.is_multiple_of(2) { 0 } else { usize::MAX / 2 });
        calls += 1;
        assert!(calls < 20_000_000, "it never fills");
        if calls == 1_000 {
            assert!(!STOP.load(Ordering::Relaxed));
            assert_eq!(store.read().unwrap().entries().len(), 1_000);
        }
    }
    assert!(STOP.load(Ordering::Relaxed));
    let journal = store.read().unwrap();
    let entries = journal.entries();
    assert!(!journal.whole(&entries));
    // The call that found no room is lost, and nothing before it.
    assert_eq!(entries.len() as u64, calls - 1);
    assert!(entries.iter().all(|entry| entry.address.is_some()));
    store.clear().unwrap();
    assert_eq!(store.read().unwrap().entries(), []);
}

impl Store {
    fn read_state_full(&self) -> u64 {
        let mut full = [0; 8];
        let at = (HEADER + 24) as u64;
        std::os::unix::fs::FileExt::read_exact_at(&self.file, &mut full, at).unwrap();
        u64::from_le_bytes(full)
    }
}

#[test]
fn a_part_whose_state_was_hit_is_full_and_writes_nothing_outside() {
    static STOP: AtomicBool = AtomicBool::new(false);
    fn stop() {
        STOP.store(true, Ordering::Relaxed);
    }
    const ROOM: usize = 2 * SLACK;
    for written in [u64::MAX, ROOM as u64 + 1, (ROOM - LONGEST + 1) as u64, 1 << 40] {
        // Behind the part lies what must stay as it is.
        let memory = Box::leak(vec![0xa5u8; ROOM + 2 * LONGEST].into_boxed_slice());
        let state = Box::leak(Box::new(State {
            written: written.into(),
            last: u64::MAX.into(),
            address: u64::MAX.into(),
            full: 0.into(),
            sequence: u64::MAX.into(),
        }));
        let entries = memory.as_mut_ptr();
        let part = Part {
            state,
            entries,
            room: ROOM,
            worker: 0,
            nearly_full: stop,
            clock: Ticks::begin(),
        };
        part.returned(1);
        part.call(Call::Malloc { size: 1 });
        part.returned(1);
        assert_eq!(state.full.load(Ordering::Relaxed), 1, "{written}");
        assert!(STOP.load(Ordering::Relaxed));
        // SAFETY: the memory is leaked, as long as this, and nobody writes to it any more.
        let all = unsafe { std::slice::from_raw_parts(entries, ROOM + 2 * LONGEST) };
        assert!(all.iter().all(|byte| *byte == 0xa5), "{written}");
    }
}

#[test]
fn what_is_no_journal_is_rejected() {
    assert!(
        Journal::from_bytes(b"something else altogether")
            .unwrap_err()
            .to_string()
            .contains("version 1")
    );
    let whole = Journal { parts: vec![vec![12, 0]], full: false }.to_bytes();
    for cut in [4, 12, 25, whole.len() - 1] {
        assert_eq!(Journal::from_bytes(&whole[..cut]), Err(JournalError::CutOff), "{cut}");
    }
}

#[test]
fn calls_with_the_names_of_before_are_read() {
    let name = Name { owner: 1, sequence: 2 };
    for (old, call) in [
        ("refused-resize", Call::ImpossibleResize { block: name, size: 7 }),
        ("refused-malloc", Call::ImpossibleMalloc { size: 7 }),
        ("refused-calloc", Call::ImpossibleCalloc { count: 3, size: 7 }),
        ("refused-aligned", Call::ImpossibleAligned { alignment: 3, size: 7 }),
    ] {
        let now = serde_json::to_string(&call).unwrap();
        let before = now.replace("impossible-", "refused-");
        assert!(before.contains(old), "{now}");
        assert_eq!(serde_json::from_str::<Call>(&before).unwrap(), call);
    }
}

/// The sum of the times overflowed.
#[test]
fn entries_end_where_the_time_would_be_over_64_bits() {
    let mut bytes = Vec::new();
    let next = Name { owner: 0, sequence: 0 };
    for since in [1, u64::MAX] {
        let mut entry = [0; LONGEST];
        let length = encode(&mut entry, Call::FreeNull, since, next);
        bytes.extend(&entry[..length]);
    }
    assert_eq!(Entries::new(&bytes, 0).map(|entry| entry.at).collect::<Vec<_>>(), [1]);
}

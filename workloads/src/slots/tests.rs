use std::collections::HashMap;

use super::*;

const STREAMS: [Workload; 7] = [
    Workload::Pareto,
    Workload::Stacks,
    Workload::Queues,
    Workload::ReallocStorm,
    Workload::Sawtooth,
    Workload::ShiftingSizes,
    Workload::Large,
];

fn make(workload: Workload, seed: u64, thread: usize) -> Box<dyn Stream> {
    stream(workload, seed, thread, 4, &Settings::default()).expect("it is made of a stream")
}

fn draw(stream: &mut dyn Stream, count: usize) -> Vec<Op> {
    (0..count).map(|_| stream.draw()).collect()
}

fn slot_of(op: Op) -> usize {
    match op {
        Op::Malloc { slot, .. } | Op::Calloc { slot, .. } | Op::AlignedAlloc { slot, .. } => slot,
        Op::Realloc { slot, .. } | Op::Free { slot } | Op::Read { slot } => slot,
    }
}

/// Carries a stream out on a table of sizes; the most bytes that were live.
fn carry_out(workload: Workload, operations: usize) -> (HashMap<usize, usize>, usize) {
    let mut stream = make(workload, 5, 1);
    let (mut live, mut bytes, mut most) = (HashMap::new(), 0, 0);
    for turn in 0..operations {
        let op = stream.draw();
        assert!(slot_of(op) < stream.slots(), "{workload}, {turn}: {op:?}");
        match op {
            Op::Malloc { slot, size } | Op::AlignedAlloc { slot, size, .. } => {
                assert_eq!(live.insert(slot, size), None, "{workload}, {turn}: {op:?}");
                bytes += size;
            }
            Op::Calloc { slot, count, size } => {
                assert_eq!(live.insert(slot, count * size), None, "{workload}, {turn}: {op:?}");
                bytes += count * size;
            }
            Op::Realloc { slot, size } => {
                assert!(size > 0);
                let old = live.insert(slot, size);
                bytes = bytes + size - old.expect("a block to resize");
            }
            Op::Free { slot } => bytes -= live.remove(&slot).expect("a block to free"),
            Op::Read { slot } => assert!(live.contains_key(&slot)),
        }
        if let Op::AlignedAlloc { alignment, .. } = op {
            assert!(alignment.is_power_of_two());
        }
        most = most.max(bytes);
    }
    (live, most)
}

#[test]
fn slots_are_filled_when_empty_and_emptied_when_full() {
    for workload in STREAMS {
        let (live, most) = carry_out(workload, 200_000);
        assert!(most > 0 && live.len() < 1 << 18, "{workload}");
    }
}

#[test]
fn a_seed_and_a_thread_fix_a_stream() {
    for workload in STREAMS {
        let of = |seed, thread| draw(&mut *make(workload, seed, thread), 500);
        assert_eq!(of(7, 1), of(7, 1), "{workload}");
        assert_ne!(of(7, 1), of(7, 2), "{workload}");
        assert_ne!(of(7, 1), of(8, 1), "{workload}");
    }
}

#[test]
fn what_is_set_bounds_what_lives() {
    for workload in [Workload::Sawtooth, Workload::ShiftingSizes, Workload::Pareto] {
        let bound = Settings::default().size(workload, "live");
        let largest = Settings::default().size(workload, "largest");
        let (_, most) = carry_out(workload, 1_000_000);
        assert!(most <= bound + 2 * largest, "{workload}: {most} bytes of {bound}");
        // Pareto's comes near it in a long run only.
        let reached = workload == Workload::Pareto || most > bound / 2;
        assert!(reached, "{workload}: {most} bytes of {bound}");
    }
}

#[test]
fn a_shifting_live_set_stays_where_it_is_while_its_sizes_move() {
    let mut stream = make(Workload::ShiftingSizes, 3, 0);
    let period = Settings::default().get(Workload::ShiftingSizes, "period") as usize;
    let mean = |ops: &[Op]| {
        let sizes = ops.iter().filter_map(|op| match op {
            Op::Malloc { size, .. } => Some(*size),
            _ => None,
        });
        let (count, sum) = sizes.fold((0, 0), |(count, sum), size| (count + 1, sum + size));
        sum / count.max(1)
    };
    let first = mean(&draw(&mut *stream, period));
    let second = mean(&draw(&mut *stream, period));
    assert!(second > first * 3 / 2, "{first} B, then {second} B");
}

#[test]
fn tails_are_heavy() {
    let mut sizes: Vec<usize> = draw(&mut *make(Workload::Pareto, 1, 0), 400_000)
        .into_iter()
        .filter_map(|op| match op {
            Op::Malloc { size, .. } => Some(size),
            _ => None,
        })
        .collect();
    sizes.sort_unstable();
    let smallest = Settings::default().size(Workload::Pareto, "smallest");
    let at = |share: f64| sizes[(sizes.len() as f64 * share) as usize];
    // Exponent 1: half lie above twice the least, one in a hundred above a hundred times.
    assert!((smallest * 18 / 10..smallest * 22 / 10).contains(&at(0.5)), "{}", at(0.5));
    assert!((smallest * 80..smallest * 125).contains(&at(0.99)), "{}", at(0.99));
}

#[test]
fn stacks_free_the_youngest_and_queues_mostly_the_oldest() {
    let youngest = |workload| {
        let (mut order, mut young, mut frees) = (Vec::new(), 0, 0);
        for op in draw(&mut *make(workload, 2, 0), 100_000) {
            match op {
                Op::Malloc { slot, .. } => order.push(slot),
                Op::Free { slot } => {
                    frees += 1;
                    let at = order.iter().rposition(|&one| one == slot).unwrap();
                    young += usize::from(at + 1 == order.len());
                    order.remove(at);
                }
                _ => {}
            }
        }
        young as f64 / f64::from(frees)
    };
    assert_eq!(youngest(Workload::Stacks), 1.0);
    let queues = youngest(Workload::Queues);
    assert!((0.05..0.5).contains(&queues), "{queues}");
}

#[test]
fn churn_replaces_every_slot() {
    let churn = Churn::new(1, 0, &Settings::default());
    let slots = churn.slots();
    let mut seen = vec![false; slots];
    for Turn { slot, size } in churn.take(slots * 20) {
        seen[slot] = true;
        assert!((8..=1000).contains(&size));
    }
    assert!(seen.iter().all(|seen| *seen));
}

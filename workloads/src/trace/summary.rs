//! The figures of a trace that tell what kind of program it came from.

use super::in_memory::Trace;
use super::op::{Kind, Op};

/// Figures counted over a whole trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Each kind's name and how often it occurs, in a fixed order, zeros too.
    pub kinds: Vec<(&'static str, u64)>,
    /// Requests by size: empty classes at either end are left out.
    pub sizes: Vec<SizeClass>,
    /// Blocks ended (freed or reallocated) by another thread than the one they were made in.
    pub handed_over: u64,
    /// Blocks that end, at the latest, when eight more have been made.
    pub short_lived: u64,
}

/// Requests of sizes between two powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeClass {
    /// The smallest size of the class, in bytes.
    pub least: u64,
    /// The largest size of the class, in bytes.
    pub most: u64,
    /// How many requests asked for a size of the class.
    pub requests: u64,
}

const KINDS: [&str; 5] = ["malloc", "calloc", "aligned_alloc", "realloc", "free"];

impl Summary {
    /// Counts.
    pub fn of(trace: &Trace) -> Summary {
        let mut kinds = KINDS.map(|name| (name, 0));
        let mut classes = [0u64; 65];
        let mut made_by: Vec<u32> = Vec::with_capacity(trace.blocks() as usize);
        let (mut handed_over, mut short_lived) = (0, 0);
        for Op { thread, kind } in trace.ops() {
            kinds[place(kind)].1 += 1;
            if let Some(block) = kind.ended() {
                let made_by_other = made_by[block as usize] != *thread;
                handed_over += u64::from(made_by_other);
                short_lived += u64::from(made_by.len() - (block as usize) <= 8 + 1);
            }
            if let Some(size) = kind.size() {
                classes[class(size as u64)] += 1;
                made_by.push(*thread);
            }
        }
        Summary { kinds: kinds.to_vec(), sizes: histogram(&classes), handed_over, short_lived }
    }
}

const fn place(kind: &Kind) -> usize {
    match kind {
        Kind::Malloc { .. } => 0,
        Kind::Calloc { .. } => 1,
        Kind::AlignedAlloc { .. } => 2,
        Kind::Realloc { .. } => 3,
        Kind::Free { .. } => 4,
    }
}

/// 0 for 0, and *n* for sizes over 2ⁿ⁻² and at most 2ⁿ⁻¹.
fn class(size: u64) -> usize {
    match size {
        0 => 0,
        _ => 65 - (size - 1).leading_zeros() as usize,
    }
}

fn histogram(classes: &[u64; 65]) -> Vec<SizeClass> {
    let used = |&(_, &requests): &(usize, &u64)| requests > 0;
    let first = classes.iter().enumerate().find(used).map_or(0, |(class, _)| class);
    let last = classes.iter().enumerate().rfind(used).map_or(0, |(class, _)| class);
    (first..=last)
        .map(|class| SizeClass {
            least: if class < 2 { class as u64 } else { (1 << (class - 2)) + 1 },
            most: if class == 0 { 0 } else { 1 << (class - 1) },
            requests: classes[class],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_meet_without_overlap() {
        for (size, expected) in
            [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (8, 4), (9, 5), (1 << 40, 41)]
        {
            assert_eq!(class(size), expected, "size {size}");
        }
        let all = histogram(&[1; 65]);
        for pair in all.windows(2) {
            assert_eq!(pair[0].most + 1, pair[1].least);
        }
        for class_of in &all {
            assert_eq!(class(class_of.least), class(class_of.most));
        }
    }

    #[test]
    fn counts_what_is_there() {
        let op = |thread, kind| Op { thread, kind };
        let ops = vec![
            op(0, Kind::Malloc { block: 0, size: 24 }),
            op(1, Kind::Realloc { from: 0, to: 1, size: 100 }),
            op(1, Kind::Free { block: 1 }),
        ];
        let summary = Summary::of(&Trace::new("", ops).unwrap());
        let kinds =
            [("malloc", 1), ("calloc", 0), ("aligned_alloc", 0), ("realloc", 1), ("free", 1)];
        assert_eq!(summary.kinds, kinds);
        assert_eq!((summary.handed_over, summary.short_lived), (1, 2));
        let sizes: Vec<_> = summary.sizes.iter().map(|c| (c.least, c.most, c.requests)).collect();
        assert_eq!(sizes, [(17, 32, 1), (33, 64, 0), (65, 128, 1)]);
    }
}

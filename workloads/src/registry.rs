//! Every workload by its name: what it stresses, where it comes from, and what can be set.
//!
//! This is the list that the tools print, choose from and check against. The streams that the
//! workloads are made of stand in the modules beside this one; who carries them out, and how each
//! call is checked, is the tools' business.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One number of a workload that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// As it is written: `churn:slots=1000`.
    pub name: &'static str,
    /// What it is, with its unit.
    pub about: &'static str,
    /// Its value when nothing is said.
    pub default: u64,
    /// The least that it can be.
    pub least: u64,
    /// The most that it can be.
    pub most: u64,
}

macro_rules! workloads {
    ($(
        $(#[$doc:meta])*
        $variant:ident = $name:literal,
            about $about:literal,
            after $source:expr,
            weight $weight:literal,
            { $($parameter:literal = $default:expr, $least:expr => $most:expr, $what:expr;)* }
    )*) => {
        /// A workload.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Workload { $($(#[$doc])* $variant,)* }

        impl Workload {
            /// All of them, in the order in which they are listed.
            pub const ALL: &'static [Workload] = &[$(Workload::$variant,)*];

            /// As it is written on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Workload::$variant => $name,)* }
            }

            /// What it does and what that stresses, in one line.
            pub fn about(self) -> &'static str {
                match self { $(Workload::$variant => $about,)* }
            }

            /// Where it comes from.
            pub fn source(self) -> &'static str {
                match self { $(Workload::$variant => $source,)* }
            }

            /// Its part of a campaign's time, in parts of the sum over the campaign's workloads.
            pub fn weight(self) -> u32 {
                match self { $(Workload::$variant => $weight,)* }
            }

            /// What can be set.
            pub fn parameters(self) -> &'static [Parameter] {
                match self { $(Workload::$variant => &[$(Parameter {
                    name: $parameter, about: $what, default: $default, least: $least, most: $most,
                },)*],)* }
            }
        }
    };
}

/// What workloads were called before. Scripts, campaign files and findings of then are still read.
const OLD_NAMES: [(&str, Workload); 3] = [
    ("duel", Workload::DoubleFree),
    ("hostile", Workload::Misuse),
    ("lifecycles", Workload::Lifecycle),
];

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const ROUNDED: &str = "largest size in bytes, rounded down to a power of two";
const SMARTHEAP: &str = "in the manner of the SmartHeap benchmark of MicroQuill";

workloads! {
    /// A randomized mix of all operations.
    Mixed = "mixed",
        about "a randomized mix of all operations, blocks handed between threads; \
               sizes log-uniform, 0 B to 1 MiB, rarely larger",
        after "sizes: Wilson et al., Dynamic Storage Allocation: A Survey and Critical Review, \
               1995",
        weight 3,
        {
            "largest" = 0, 0 => 64 * MIB, "largest common size in bytes, rounded down to a power \
                of two; 0: 1 KiB or 1 MiB, by the seed";
            "live" = 0, 0 => 4 * GIB, "bytes that a thread holds at most; 0: 2 MiB with small \
                sizes, 32 MiB with wide";
        }
    /// A server's steady state.
    Churn = "churn",
        about "a fixed set of slots per thread, random replacement; generations of threads hand \
               their slots on and exit",
        after "Larson and Krishnan, Memory Allocation for Long-Running Server Applications, ISMM \
               1998",
        weight 1,
        {
            "slots" = 1000, 1 => MIB, "live blocks of a thread";
            "smallest" = 8, 1 => 64 * MIB, "smallest size in bytes";
            "largest" = 1000, 1 => 64 * MIB, "largest size in bytes";
            "turns" = 20_000, 1 => GIB, "replacements by a thread before it hands its slots on and \
                exits";
        }
    /// Producers and consumers.
    Handoff = "handoff",
        about "asymmetric: some threads only allocate, the others only free, in batches over \
               bounded channels",
        after "xmalloc-test (Lever and Boreham, malloc() Performance in a Multithreaded Linux \
               Environment, USENIX 2000)",
        weight 1,
        {
            "producers" = 0, 0 => 512, "threads that allocate; 0: half of them";
            "batch" = 0, 0 => 4096, "blocks handed over at once; 0: 1 to 256, by the seed";
            "largest" = KIB, 1 => 64 * MIB, ROUNDED;
        }
    /// Heavy-tailed sizes and lifetimes.
    Pareto = "pareto",
        about "heavy-tailed sizes and lifetimes: most blocks are small and die young, some are \
               huge or stay",
        after "Pareto's law with tail exponent 1; lifetimes as in Barrett and Zorn, Using Lifetime \
               Predictors, PLDI 1993",
        weight 1,
        {
            "tail" = 1, 1 => 8, "tail exponent of both; the less, the heavier";
            "smallest" = 16, 1 => MIB, "smallest size in bytes";
            "largest" = MIB, 1 => GIB, "largest size in bytes";
            "lifetime" = 16, 1 => GIB, "shortest life of a block, in its thread's operations";
            "live" = 16 * MIB, KIB => 4 * GIB, "bytes that a thread holds at most";
        }
    /// The youngest dies first.
    Stacks = "stacks",
        about "LIFO in bulk: each thread's blocks are a stack that grows and shrinks to random \
               depths",
        after SMARTHEAP,
        weight 1,
        {
            "depth" = 4096, 1 => MIB, "blocks of a thread at most";
            "largest" = KIB, 1 => 64 * MIB, ROUNDED;
        }
    /// The oldest dies first.
    Queues = "queues",
        about "FIFO in bulk: batches freed in order, in reverse, or one for one while new blocks \
               come",
        after SMARTHEAP,
        weight 1,
        {
            "length" = 4096, 1 => MIB, "blocks of a thread at most";
            "largest" = KIB, 1 => 64 * MIB, ROUNDED;
        }
    /// Threads that write to what may be one cache line.
    FalseSharing = "false-sharing",
        about "small blocks written to again and again, each thread its own (active), or after one \
               thread has made them all (passive)",
        after "cache-thrash and cache-scratch (Berger et al., Hoard, ASPLOS 2000)",
        weight 1,
        {
            "size" = 8, 1 => 4 * KIB, "bytes of a block";
            "blocks" = 8, 1 => 64 * KIB, "blocks that a thread writes to in turn";
            "writes" = 100, 1 => MIB, "times that each is written before it is replaced";
        }
    /// Vectors and strings.
    ReallocStorm = "realloc-storm",
        about "vectors and strings that grow, are cut and end; some begin aligned",
        after "growth by 2 and by 1.5 as C++ and Rust libraries do it, by words as strings are \
               built",
        weight 1,
        {
            "vectors" = 64, 1 => 64 * KIB, "vectors of a thread";
            "largest" = MIB, 64 => GIB, "bytes at which a vector ends";
            "aligned" = 8, 0 => GIB, "one vector in so many begins aligned to 32 B to 4 KiB; 0: \
                none";
        }
    /// The live set climbs and falls.
    Sawtooth = "sawtooth",
        about "the live set climbs to its bound, falls to a sixteenth at random, and climbs with \
               other sizes",
        after "fragmentation by survivors: Wilson et al. 1995; Robson, Worst Case Fragmentation, \
               1977",
        weight 1,
        {
            "live" = 8 * MIB, KIB => 4 * GIB, "bytes that a thread holds at the peak";
            "largest" = 64 * KIB, 256 => 64 * MIB, ROUNDED;
        }
    /// The sizes move under a constant live set.
    ShiftingSizes = "shifting-sizes",
        about "the live set stays constant and what is asked for moves from size to size: memory \
               that grows is broken up",
        after "blow-up as in Berger et al., Hoard, ASPLOS 2000; Robson 1977",
        weight 1,
        {
            "live" = 8 * MIB, KIB => 4 * GIB, "bytes that a thread holds";
            "largest" = 64 * KIB, 256 => 64 * MIB, ROUNDED;
            "period" = 20_000, 1 => GIB, "operations after which the sizes move on by an octave";
        }
    /// Mappings.
    Large = "large",
        about "blocks from a page to hundreds of MiB, that grow as mappings do",
        after "where allocators go over to mmap and mremap: glibc's mallopt(3), M_MMAP_THRESHOLD",
        weight 1,
        {
            "smallest" = 4 * KIB, KIB => GIB, "smallest size in bytes";
            "largest" = 256 * MIB, KIB => 16 * GIB, "largest size in bytes";
            "live" = GIB, KIB => 64 * GIB, "bytes that all threads together hold at most";
        }
    /// Short-lived threads.
    ThreadStorm = "thread-storm",
        about "thousands of threads that live for a few blocks, and leave some behind for others \
               to free",
        after "thread pools that come and go; what an exited thread's heap is worth to others",
        weight 1,
        {
            "threads" = 250, 1 => MIB, "short-lived threads, one after the other, for each worker \
                and episode";
            "blocks" = 32, 1 => MIB, "blocks that each makes";
            "left" = 50, 0 => 100, "percent of them that it leaves behind";
            "largest" = 4 * KIB, 1 => 64 * MIB, ROUNDED;
        }
    /// Tasks that are stolen.
    ForkJoin = "fork-join",
        about "a tree of tasks on threads that steal from each other: what a task makes is freed \
               by who joins it",
        after "fork and join with work stealing: Blumofe and Leiserson, JACM 1999; the pool is \
               rayon's",
        weight 1,
        {
            "depth" = 10, 0 => 20, "forks from the root of the tree to its leaves";
            "blocks" = 16, 1 => 64 * KIB, "blocks that each task makes";
            "largest" = KIB, 1 => 64 * MIB, ROUNDED;
        }
    /// Every pair of call, size, alignment and thread.
    Pairs = "pairs",
        about "every call with every band of sizes, every alignment, on its own blocks and on \
               another thread's: what goes wrong for two things at once",
        after "pairwise testing: Cohen et al., The AETG System, IEEE Transactions on Software \
               Engineering 1997",
        weight 2,
        {}
    /// What is left when all is freed.
    Drain = "drain",
        about "fills up, hands two thirds over, frees all at once, and looks at what stays \
               resident: again and again in one process, which grows old",
        after "memory that never comes back; most frees are remote, and all contend",
        weight 5,
        {
            "live" = 24 * MIB, KIB => 4 * GIB, "bytes that a thread holds when it is full";
            "largest" = 64 * KIB, 16 => 64 * MIB, ROUNDED;
        }
    /// What exited threads leave.
    Exits = "exits",
        about "threads that live for a moment, by the ten thousand, in one process: what each \
               leaves resident adds up",
        after "thread pools that come and go; leaks of a thread's cache",
        weight 6,
        {
            "threads" = 500, 1 => MIB, "short-lived threads, one after the other, for each worker \
                from rest to rest";
            "blocks" = 4, 1 => MIB, "blocks that each makes";
        }
    /// How long the longest call takes.
    Steady = "steady",
        about "one thread, as fast as it can: a call that takes 100 ms of its own, asleep or not, \
               stalls",
        after "tail latency: Dean and Barroso, The Tail at Scale, CACM 2013",
        weight 4,
        {
            "slots" = 4096, 1 => MIB, "live blocks";
            "largest" = 4 * KIB, 1 => 64 * MIB, ROUNDED;
        }
    /// What else happens in a process.
    #[serde(alias = "lifecycles")]
    Lifecycle = "lifecycle",
        about "forks whose children go on, a storm of signals, threads that end in the middle, \
               thread-local destructors that allocate and free, libraries loaded and closed",
        after "fork(2), signal(7), pthread_key_create(3), dlopen(3): where a process's handlers \
               meet an allocator's locks",
        weight 2,
        {
            "fork" = 20_000, 0 => GIB, "operations of a thread from fork to fork, on average; 0: \
                no forks";
            "patience" = 5, 1 => 3600, "seconds after which a forked child that does nothing more \
                hangs";
            "signals" = 1000, 0 => 100_000, "signals to each thread in a second; 0: none";
            "life" = 2000, 1 => GIB, "operations of a thread before it ends, on average";
            "load" = 4000, 0 => GIB, "operations of a thread from one library that it loads to the \
                next, on average; 0: none. For allocators that serve the process's malloc: no \
                library calls a linked one";
            "largest" = 64 * KIB, 1 => 64 * MIB, ROUNDED;
        }
    /// A program with mistakes.
    #[serde(alias = "hostile")]
    Misuse = "misuse",
        about "double frees and frees of what is no block, mixed into a correct run: each must be \
               reported once, by its own kind, and do nothing else; for allocators that report and \
               go on",
        after "CWE-415, CWE-590 and CWE-763, under DRYSTONE_ON_MISUSE=report",
        weight 2,
        {
            "misuse" = 200, 1 => GIB, "operations of a thread from misuse to misuse, on average";
            "largest" = 64 * KIB, 1 => 64 * MIB, ROUNDED;
        }
    /// Double frees under contention.
    #[serde(alias = "duel")]
    DoubleFree = "double-free",
        about "N threads free one block at once, from one barrier: all but one are double frees",
        after "two frees of one pointer (CWE-415), here at once: of N frees of one block N - 1 are \
               to be reported",
        weight 1,
        {}
    /// A recorded program.
    Trace = "trace",
        about "a recorded program (--trace FILE)",
        after "docs/traces.md",
        weight 1,
        {}
}

impl Workload {
    /// Whether it shows what it is for only to a process that lives on: memory that grows, that
    /// breaks up.
    pub fn long_lived(self) -> bool {
        matches!(
            self,
            Workload::Sawtooth
                | Workload::ShiftingSizes
                | Workload::Drain
                | Workload::Exits
                | Workload::Steady
        )
    }

    /// Whether it is one round, as long as the run, or rounds from rest to rest.
    pub fn one_round(self) -> bool {
        matches!(self, Workload::Sawtooth | Workload::ShiftingSizes)
    }

    /// Whether its calls of the allocator, one after the other, are all that it does.
    pub fn is_its_calls(self) -> bool {
        !matches!(self, Workload::DoubleFree | Workload::Misuse | Workload::Lifecycle)
    }

    /// The workload of that name, or that had it once.
    pub fn named(name: &str) -> Option<Workload> {
        let old = OLD_NAMES.iter().find(|(old, _)| *old == name).map(|(_, workload)| *workload);
        old.or_else(|| Workload::ALL.iter().copied().find(|workload| workload.name() == name))
    }

    /// The parameter that is written so.
    pub fn parameter(self, name: &str) -> Option<&'static Parameter> {
        self.parameters().iter().find(|parameter| parameter.name == name)
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What was set of a workload's parameters; the others have their defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(BTreeMap<String, u64>);

impl Settings {
    /// Sets a parameter; false if its value is out of the parameter's bounds.
    #[must_use]
    pub fn set(&mut self, parameter: &Parameter, value: u64) -> bool {
        let fits = (parameter.least..=parameter.most).contains(&value);
        if fits {
            self.0.insert(parameter.name.to_owned(), value);
        }
        fits
    }

    /// The value of `workload`'s parameter `name`.
    ///
    /// # Panics
    /// The workload has no such parameter: a mistake in the program, not in what was asked of it.
    pub fn get(&self, workload: Workload, name: &str) -> u64 {
        let parameter = workload.parameter(name);
        let parameter = parameter.unwrap_or_else(|| panic!("{workload} has no parameter {name}"));
        self.0.get(name).copied().unwrap_or(parameter.default)
    }

    /// As [`get`](Self::get), for what is counted in memory.
    pub fn size(&self, workload: Workload, name: &str) -> usize {
        usize::try_from(self.get(workload, name)).unwrap_or(usize::MAX)
    }

    /// All of `workload`'s parameters and their values.
    pub fn all(&self, workload: Workload) -> BTreeMap<&'static str, u64> {
        let value = |parameter: &Parameter| (parameter.name, self.get(workload, parameter.name));
        workload.parameters().iter().map(value).collect()
    }
}

/// What stands behind the workload's name: `:slots=1000,largest=64`, or nothing.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.0.iter().enumerate() {
            write!(f, "{}{name}={value}", if index == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_defaults_are_within_their_bounds() {
        let names: std::collections::HashSet<_> =
            Workload::ALL.iter().map(|workload| workload.name()).collect();
        assert_eq!(names.len(), Workload::ALL.len());
        for &workload in Workload::ALL {
            assert_eq!(Workload::named(workload.name()), Some(workload));
            assert!(workload.weight() > 0 && !workload.source().is_empty());
            let json = serde_json::to_string(&workload).unwrap();
            assert_eq!(json, format!("\"{}\"", workload.name()), "one name in all places");
            let mut seen = std::collections::HashSet::new();
            for parameter in workload.parameters() {
                assert!(seen.insert(parameter.name), "{workload}: {} twice", parameter.name);
                let bounds = parameter.least..=parameter.most;
                assert!(bounds.contains(&parameter.default), "{workload}: {}", parameter.name);
                assert_eq!(Settings::default().get(workload, parameter.name), parameter.default);
            }
        }
    }

    #[test]
    fn names_of_before_are_read_everywhere_and_written_nowhere() {
        for (old, workload) in OLD_NAMES {
            assert_eq!(Workload::named(old), Some(workload));
            assert_eq!(serde_json::from_str::<Workload>(&format!("\"{old}\"")).unwrap(), workload);
            assert!(Workload::ALL.iter().all(|workload| workload.name() != old), "{old}");
        }
    }

    #[test]
    fn what_is_set_is_kept_within_its_bounds_and_written_back() {
        let parameter = Workload::Mixed.parameter("largest").unwrap();
        let mut settings = Settings::default();
        assert_eq!(settings.to_string(), "");
        assert!(!settings.set(parameter, parameter.most + 1));
        assert!(settings.set(parameter, 4096));
        assert_eq!(settings.get(Workload::Mixed, "largest"), 4096);
        assert_eq!(settings.to_string(), ":largest=4096");
        let json = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), settings);
    }
}

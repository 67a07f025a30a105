//! The stress tool: verifies allocators under contention. A library, so that its tests can add faulty
//! subjects that the binary does not have.
//!
//! ```text
//! tool ─► cli ─► campaign ─► episode ─► supervisor ══ process ══► child ─► workers ─► checker ─► subject
//!   │       └──► report, progress  └─► findings                        └─► script       └─► alarm, log
//!   └─► replay ─► supervisor
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`tool`], [`entry`] | the steps from arguments to exit code; those that all tools share |
//! | [`cli`], [`spec`] | what is asked for; one run of it |
//! | [`campaign_file`], [`shard`], [`known`] | a plan in a file; a part of a plan; faults that are no findings in it |
//! | [`campaign`], [`episode`](mod@episode), [`supervisor`], [`job`] | the runs one after the other; a run's processes one after the other; one child with its deadline; what it is handed |
//! | [`child`], [`workers`] | one run; what its threads do |
//! | [`preloaded`], [`loaded`] | what children under a preloaded allocator are started with; a library that they load |
//! | [`forked`] | how a child of a child tells what it finds |
//! | [`checker`] | what must be true, and who disturbs it |
//! | [`subject`], [`linked`] | allocators under test; those that are linked in |
//! | [`watch`](mod@watch), [`usage`] | a run over time, memory that grows; what a process uses of the machine |
//! | [`record`], [`join`] | a campaign written down while it runs; the records of its parts as one report |
//! | [`alarm`], [`finding`], [`last_words`], [`protocol`], [`tally`] | wrong answers and counts, and how they travel |
//! | [`log`], [`script`] | every call of an episode, written down; the same calls made once more |
//! | [`findings`], [`history`], [`version`] | a finding as a folder; what was done to its block; which subject it was |
//! | [`replay`](mod@replay) | a finding made again |
//! | [`refuse`](mod@refuse) | `cargo stress refuse`: what becomes of calls to the OS that fail |
//! | [`plan`], [`fake_os`], [`notify`], [`kept`] | which calls fail; who makes them: the linked subjects' OS, the kernel; what could not be given back |
//! | [`ticks`] | the log's clock |
//! | [`duration`], [`pattern`], [`nearest`] | what people write, and mistype |
//! | [`report`], [`sheet`], [`progress`], [`human`] | what is printed |
//! | [`bench`](mod@bench) | `cargo stress bench`, the benchmark runner |
//! | [`cost`](mod@cost) | `cargo stress cost`: what the checker costs |
//! | [`programs`] | `cargo stress programs`: real programs with an allocator preloaded |
//! | [`conform`] | `cargo stress conform`, the conformance suite |
//! | [`memory`] | the harness's own allocator, installed in every binary that links this |
#![warn(missing_docs)]

pub mod alarm;
pub mod bench;
pub mod campaign;
pub mod campaign_file;
pub mod checker;
pub mod child;
pub mod cli;
pub mod conform;
pub mod cost;
pub mod duration;
pub mod entry;
pub mod episode;
pub mod exit;
pub mod fake_os;
pub mod finding;
pub mod findings;
pub mod forked;
pub mod history;
pub mod human;
pub mod job;
pub mod join;
pub mod kept;
pub mod known;
pub mod last_words;
pub mod linked;
pub mod loaded;
pub mod log;
pub mod memory;
pub mod nearest;
pub mod notify;
pub mod pattern;
pub mod plan;
pub mod preloaded;
pub mod programs;
pub mod progress;
pub mod protocol;
pub mod record;
pub mod refuse;
pub mod replay;
pub mod report;
pub mod script;
pub mod seed;
pub mod shard;
pub mod sheet;
pub mod spec;
pub mod stop;
pub mod subject;
pub mod supervisor;
pub mod tally;
pub mod ticks;
pub mod tool;
pub mod usage;
pub mod version;
pub mod watch;
pub mod workers;

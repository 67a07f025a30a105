//! The subcommands of the first view; each is a list of steps.

mod bisect;
mod calibrate;
mod compare;
mod list;
mod merge;
mod options;
mod selftest;
mod show;
mod site;
mod trend;

pub use bisect::run as bisect;
pub use calibrate::run as calibrate;
pub use compare::run as compare;
pub use list::run as list;
pub use merge::run as merge;
pub use options::{
    BisectArguments, CalibrateArguments, CompareArguments, ListArguments, MergeArguments,
    SelftestArguments, ShowArguments, SiteArguments, TrendArguments,
};
pub use selftest::run as selftest;
pub use show::run as show;
pub use site::run as site;
pub use trend::run as trend;

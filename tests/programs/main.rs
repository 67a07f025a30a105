//! Programs in processes of their own: linked to the library, under it preloaded, recorded. One
//! binary: each more is linked with everything anew.

#[path = "../support/lab.rs"]
mod lab;
#[path = "../support/served.rs"]
mod served;
#[path = "../support/mod.rs"]
mod support;

mod c_interface;
mod dependent;
mod drystone_bounds;
mod drystone_processes;
mod drystone_programs;
mod guard;
mod install;
mod readme;
mod recorder;

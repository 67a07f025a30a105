//! A warning where a measurement would have company.

use crate::records::record::Machine;

/// Says so if others are using the machine: nothing else widens intervals as much.
pub fn warn_if_busy(machine: &Machine) {
    if let Some(load) = load_average().filter(|&load| load > machine.cores as f64) {
        eprintln!(
            "the machine is busy (load {load:.1} on {} cores): expect wide intervals",
            machine.cores
        );
    }
}

/// Processes that were running or waiting, on average over the last minute.
fn load_average() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

//! The reader of recorded traces, both forms. What it accepts must be a possible history, and come
//! back as it is from the file that is written of it.
#![no_main]

use drystone_workloads::trace::Trace;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(trace) = Trace::parse(bytes) else { return };
    trace.validate().expect("what is read is a possible history");
    let place = tempfile::NamedTempFile::new_in("/dev/shm").expect("there is room");
    trace.write_plain(place.path()).expect("there is room");
    let again = Trace::read(place.path()).expect("what was written can be read");
    assert_eq!(again, trace);
    for workers in 1..4 {
        let _ = trace.fold(workers);
    }
});

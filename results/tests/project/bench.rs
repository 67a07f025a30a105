//! Benchmarks that take no time: writes what criterion 0.8 would have written, without measuring.
//!
//! The times come from `figures.txt` beside it, one `id nanoseconds` per line, so that a commit can
//! make a benchmark slower. Every process takes a little longer than the one before, up to 0.6 %,
//! as the number of lines in the file `$FAKE_LOG` says; each adds a line with the first figure.
//! With `$FAKE_STOP` set to `N`, the process after N others waits to be killed, and says so in
//! `$FAKE_LOG.stopped`; with `$FAKE_FAIL` likewise it fails.

use std::fmt::Write as _;
use std::path::Path;

const FIGURES: &str = include_str!("figures.txt");

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |option: &str| {
        let place = arguments.iter().position(|argument| argument == option);
        arguments[place.unwrap_or_else(|| panic!("{option} is passed")) + 1].clone()
    };
    assert_eq!(arguments[..2], ["--bench", "--noplot"]);
    let samples: usize = value("--sample-size").parse().unwrap();
    for option in ["--warm-up-time", "--measurement-time", "--nresamples"] {
        assert!(value(option).parse::<f64>().unwrap() > 0.0);
    }
    // Two flags and four options with their values; what follows is the filter.
    let filter = arguments.get(10).cloned().unwrap_or_default();

    let log = std::env::var("FAKE_LOG").unwrap();
    let before = std::fs::read_to_string(&log).unwrap_or_default();
    let number = before.lines().count();
    let at = |variable: &str| std::env::var(variable).is_ok_and(|at| at == number.to_string());
    if at("FAKE_STOP") {
        std::fs::write(format!("{log}.stopped"), "").unwrap();
        loop {
            std::thread::park();
        }
    }
    assert!(!at("FAKE_FAIL"), "asked to fail");
    let first = FIGURES.lines().next().unwrap();
    std::fs::write(&log, format!("{before}{first}\n")).unwrap();

    let home = std::env::var("CRITERION_HOME").unwrap();
    assert!(!Path::new(&home).exists(), "the home is fresh");
    for (id, time) in FIGURES.lines().filter_map(|line| line.split_once(' ')) {
        if id.contains(&filter) {
            let time = time.parse::<f64>().unwrap() * (1.0 + 0.001 * (number % 7) as f64);
            write_benchmark(&Path::new(&home).join(id).join("new"), id, time, samples);
        }
    }
}

fn write_benchmark(folder: &Path, id: &str, time: f64, samples: usize) {
    let (mut iters, mut times) = (String::new(), String::new());
    for sample in 1..=samples {
        let comma = if sample == samples { "" } else { "," };
        write!(iters, "{sample}.0{comma}").unwrap();
        write!(times, "{}{comma}", time * sample as f64).unwrap();
    }
    std::fs::create_dir_all(folder).unwrap();
    let sample = format!(r#"{{"sampling_mode":"Linear","iters":[{iters}],"times":[{times}]}}"#);
    std::fs::write(folder.join("sample.json"), sample).unwrap();
    let benchmark = format!(r#"{{"full_id":"{id}","throughput":{{"Elements":1}}}}"#);
    std::fs::write(folder.join("benchmark.json"), benchmark).unwrap();
}

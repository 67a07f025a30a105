//! What criterion 0.8 leaves on disk, and its command line.
//!
//! For each benchmark, `<home>/<directories named after the id>/new/` holds `benchmark.json` (its
//! full id and throughput) and `sample.json` (the raw samples). Directory names are shortened and
//! made unique; only the id in the file is the benchmark's. A test runs criterion itself against
//! this reader, so that a new version that writes otherwise is noticed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::records::record::{Samples, Settings, check_printable};

/// The arguments that make a benchmark executable measure as `settings` say, and only what
/// `filter` matches.
pub fn arguments(settings: &Settings, filter: Option<&str>) -> Vec<String> {
    let seconds = |milliseconds: u64| format!("{}", milliseconds as f64 / 1000.0);
    let mut arguments: Vec<String> = ["--bench", "--noplot"].map(str::to_owned).into();
    for (option, value) in [
        ("--warm-up-time", seconds(settings.warm_up_ms)),
        ("--measurement-time", seconds(settings.measurement_ms)),
        ("--sample-size", settings.samples.to_string()),
        ("--nresamples", settings.resamples.to_string()),
    ] {
        arguments.extend([option.to_owned(), value]);
    }
    arguments.extend(filter.map(str::to_owned));
    arguments
}

/// Reads all benchmarks below criterion's folder `home`, by id.
///
/// # Errors
/// If a file is missing, is not as criterion 0.8 writes it, or holds samples that measured nothing.
pub fn read(home: &Path) -> Result<BTreeMap<String, Samples>> {
    let mut benchmarks = BTreeMap::new();
    for folder in folders_of_new_samples(home)? {
        let (id, samples) =
            benchmark(&folder).with_context(|| format!("cannot use {}", folder.display()))?;
        if benchmarks.insert(id.clone(), samples).is_some() {
            bail!("two benchmarks are called {id}: give one another id");
        }
    }
    Ok(benchmarks)
}

fn benchmark(folder: &Path) -> Result<(String, Samples)> {
    #[derive(Deserialize)]
    struct Benchmark {
        full_id: String,
        throughput: Option<serde_json::Value>,
    }
    #[derive(Deserialize)]
    struct Sample {
        iters: Vec<f64>,
        times: Vec<f64>,
    }
    let text = |name| std::fs::read_to_string(folder.join(name)).context(name);
    let Benchmark { full_id, throughput } = serde_json::from_str(&text("benchmark.json")?)?;
    let Sample { iters, times } = serde_json::from_str(&text("sample.json")?)?;
    let samples = Samples { throughput, iters, times };
    // A record rejects such an id too, but only once everything is measured.
    check_printable("benchmark id", &full_id)?;
    samples.check().with_context(|| format!("benchmark {full_id}"))?;
    Ok((full_id, samples))
}

/// All folders called `new` below `home` that hold a sample. (`base` beside each holds a copy.)
fn folders_of_new_samples(home: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![home.to_owned()];
    while let Some(folder) = waiting.pop() {
        // A run that measured nothing makes no folder at all.
        if !folder.is_dir() {
            continue;
        }
        if folder.ends_with("new") && folder.join("sample.json").is_file() {
            found.push(folder);
            continue;
        }
        for entry in std::fs::read_dir(&folder)? {
            waiting.push(entry?.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_become_criterions_options() {
        let settings =
            Settings { warm_up_ms: 200, measurement_ms: 1500, samples: 20, resamples: 1000 };
        assert_eq!(
            arguments(&settings, Some("list|system")).join(" "),
            "--bench --noplot --warm-up-time 0.2 --measurement-time 1.5 --sample-size 20 \
             --nresamples 1000 list|system"
        );
    }

    /// Criterion itself writes, and this reader reads.
    #[test]
    fn criterions_own_files_are_read() {
        use ::criterion::{BenchmarkId, Criterion, Throughput};
        let home = tempfile::tempdir().unwrap();
        let brief = std::time::Duration::from_millis(20);
        let mut criterion = Criterion::default()
            .output_directory(home.path())
            .without_plots()
            .warm_up_time(brief)
            .measurement_time(brief)
            .sample_size(10)
            .nresamples(1000);
        let mut group = criterion.benchmark_group("group");
        group.throughput(Throughput::Elements(3));
        for parameter in ["16 B", "new"] {
            group.bench_function(BenchmarkId::new("allocator", parameter), |bencher| {
                bencher.iter(|| std::hint::black_box(7u64).pow(3));
            });
        }
        group.finish();

        let benchmarks = read(home.path()).unwrap();
        let ids: Vec<&str> = benchmarks.keys().map(String::as_str).collect();
        assert_eq!(ids, ["group/allocator/16 B", "group/allocator/new"]);
        for samples in benchmarks.values() {
            assert_eq!(samples.iters.len(), 10);
            assert_eq!(samples.throughput, Some(serde_json::json!({ "Elements": 3 })));
            let nanoseconds = samples.ns_per_iteration()[9];
            assert!((0.01..1e6).contains(&nanoseconds), "{nanoseconds} ns");
        }
    }

    fn written(sample: &str, benchmark: &str) -> Result<BTreeMap<String, Samples>> {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("group/new");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("sample.json"), sample).unwrap();
        std::fs::write(folder.join("benchmark.json"), benchmark).unwrap();
        read(home.path())
    }

    #[test]
    fn samples_that_measured_nothing_are_rejected() {
        let benchmark = r#"{"full_id":"a/b/c","throughput":null}"#;
        assert!(written(r#"{"iters":[1],"times":[2]}"#, benchmark).is_ok());
        for sample in [
            r#"{"iters":[1],"times":[0]}"#,
            r#"{"iters":[],"times":[]}"#,
            r#"{"iters":[1,2],"times":[3]}"#,
            r#"{"iters":[1]}"#,
        ] {
            assert!(written(sample, benchmark).is_err(), "{sample}");
        }
        assert!(written(r#"{"iters":[1],"times":[2]}"#, "{}").is_err());
    }

    #[test]
    fn no_folder_is_no_benchmark() {
        assert!(read(Path::new("/nonexistent/home")).unwrap().is_empty());
    }
}

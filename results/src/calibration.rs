//! What is known of this program on this machine, from comparisons of a side with itself: kept by
//! machine, kernel and program, and out of date after a month.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::build::Home;
use crate::date::days_since;
use crate::decide::exact;
use crate::evidence::{Ended, Header, Lane, Machine};

/// What the `format` field says.
pub const FORMAT: &str = "drystone-calibration";

/// Days after which it is out of date: machines get other neighbours, microcode and firmware.
const DAYS: i64 = 30;

/// A calibration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// [`FORMAT`].
    pub format: String,
    /// 1.
    pub version: u32,
    /// When it was made, UTC.
    pub made: String,
    /// Where.
    pub machine: Machine,
    /// BLAKE3 of the program, as in the evidence.
    pub harness: String,
    /// The path of its evidence.
    pub evidence: String,
    /// Processes that were recorded.
    pub processes: u32,
    /// The budget, in seconds, that the rates are of, and the processes it pays for.
    pub budget_s: f64,
    /// How many those are.
    pub budget_processes: u32,
    /// The floor and the margin that the rates are of, as fractions.
    pub floor: f64,
    /// The margin.
    pub margin: f64,
    /// Resampled comparisons without a change that had a verdict beyond the floor all the same.
    pub false_verdicts: Rate,
    /// Of rows in these, how many ended `OK`.
    pub fine_rows: Rate,
    /// Each row.
    pub rows: Vec<RowCalibration>,
}

/// How often of how many, with exact limits of 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// How often.
    pub found: u64,
    /// Of how many.
    pub of: u64,
    /// The lower limit of the true fraction.
    pub low: f64,
    /// The upper one.
    pub high: f64,
}

/// What is known of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowCalibration {
    /// Its name.
    pub name: String,
    /// Processes with a value of it.
    pub processes: u32,
    /// The median of A against A, with its interval: how far from none it is.
    pub median: f64,
    /// The interval's lower end, if there is one.
    pub low: Option<f64>,
    /// The interval's upper end.
    pub high: Option<f64>,
    /// The robust standard deviation of one process's value: 1.4826 times the median distance from
    /// the median.
    pub spread: f64,
    /// The floor to use: the interval's far end, so that what the tool itself adds is below it.
    pub floor: Option<f64>,
    /// Whether the values lie in two heaps, by Sarle's coefficient.
    pub bimodal: bool,
    /// Pairs of slices a process, their length, and the fraction dropped for context switches.
    pub pairs: u32,
    /// Microseconds a slice; 0 for a piece of a trace.
    pub slice_us: f64,
    /// The fraction.
    pub dropped: f64,
    /// The smallest slow-down found in 80 % of resampled comparisons; none below a half.
    pub sees_80: Option<f64>,
    /// In 95 %.
    pub sees_95: Option<f64>,
}

impl Rate {
    /// So often of so many.
    ///
    /// # Errors
    /// If it is more often.
    pub fn of(found: u64, of: u64) -> Result<Self> {
        let [low, high] = exact::limits(found, of, 0.95)?;
        Ok(Self { found, of, low, high })
    }
}

impl Calibration {
    /// Reads one; none if there is none.
    ///
    /// # Errors
    /// If there is one, and it is damaged.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let Ok(text) = std::fs::read_to_string(path) else { return Ok(None) };
        let shown = path.display();
        let read: Self = serde_json::from_str(&text)
            .with_context(|| format!("{shown} is no calibration: remove it, or calibrate again"))?;
        ensure!(
            read.format == FORMAT && read.version == 1,
            "{shown} is of another version: calibrate again"
        );
        Ok(Some(read))
    }

    /// Writes it; the last one of this machine and program is replaced.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let folder = path.parent().context("a calibration has a folder")?;
        std::fs::create_dir_all(folder)?;
        let file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&file, self)?;
        file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }

    /// The middle row's smallest slow-down that is seen.
    fn middle(&self, sees: fn(&RowCalibration) -> Option<f64>) -> Option<f64> {
        let mut all: Vec<f64> =
            self.rows.iter().map(|row| sees(row).unwrap_or(f64::INFINITY)).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().filter(|value| value.is_finite())
    }

    /// What a comparison says of it.
    fn sentence(&self) -> Result<String> {
        let days = days_since(&self.made)?;
        if days > DAYS {
            return Ok(format!(
                "calibration: {days} days old, out of date: run `cargo results calibrate`"
            ));
        }
        let percent = |value: Option<f64>| {
            value.map_or("more than +50 %".to_owned(), |value| format!("+{:.1} %", value * 100.0))
        };
        Ok(format!(
            "calibration: {} of {} resampled comparisons without a change had a verdict (at most \
             {:.1} %); in the middle row {} is found in 80 %, {} in 95 %, within {:.0} s",
            self.false_verdicts.found,
            self.false_verdicts.of,
            self.false_verdicts.high * 100.0,
            percent(self.middle(|row| row.sees_80)),
            percent(self.middle(|row| row.sees_95)),
            self.budget_s
        ))
    }
}

/// What a comparison says of the calibration of its machine and program; nothing where no time was
/// measured.
///
/// # Errors
/// If there is one, and it is damaged.
pub fn note(home: &Home, header: &Header, why: Option<Ended>) -> Result<Option<String>> {
    let unmeasured = matches!(why, Some(Ended::Identical | Ended::Vetoed));
    if unmeasured || !header.settings.lanes.contains(&Lane::Time) {
        return Ok(None);
    }
    let found = Calibration::read(&home.calibration(&header.machine.name, &header.harness))?;
    match found {
        Some(calibration) => calibration.sentence().map(Some),
        None => Ok(Some(
            "calibration: none of this program on this machine: `cargo results calibrate` tells \
             how much it sees"
                .to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::fixtures::header;

    fn calibration(made: &str) -> Calibration {
        let header = header(&["pair/64"]);
        let rate = Rate { found: 0, of: 1000, low: 0.0, high: 0.0037 };
        let row = RowCalibration {
            name: "pair/64".to_owned(),
            processes: 300,
            median: 0.0,
            low: Some(-0.001),
            high: Some(0.002),
            spread: 0.01,
            floor: Some(0.002),
            bimodal: false,
            pairs: 20,
            slice_us: 250.0,
            dropped: 0.1,
            sees_80: Some(0.031),
            sees_95: None,
        };
        Calibration {
            format: FORMAT.to_owned(),
            version: 1,
            made: made.to_owned(),
            machine: header.machine,
            harness: header.harness,
            evidence: "evidence.jsonl".to_owned(),
            processes: 300,
            budget_s: 300.0,
            budget_processes: 150,
            floor: 0.01,
            margin: 0.03,
            false_verdicts: rate,
            fine_rows: rate,
            rows: vec![row],
        }
    }

    #[test]
    fn a_calibration_is_kept_replaced_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/c.json");
        assert_eq!(Calibration::read(&path).unwrap(), None);
        for made in ["2020-01-01T00:00:00Z", "2200-01-01T00:00:00Z"] {
            calibration(made).write(&path).unwrap();
        }
        let read = Calibration::read(&path).unwrap().unwrap();
        assert_eq!(read, calibration("2200-01-01T00:00:00Z"));
        let said = read.sentence().unwrap();
        assert!(said.contains("+3.1 % is found in 80 %, more than +50 % in 95 %"), "{said}");
        let old = calibration("2020-01-01T00:00:00Z").sentence().unwrap();
        assert!(old.contains("out of date"), "{old}");
        std::fs::write(&path, "{}").unwrap();
        assert!(Calibration::read(&path).is_err());
    }
}

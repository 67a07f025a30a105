//! What was printed about misuses, compared with what was planted.

use std::collections::BTreeMap;

use drystone_checker::violation::Kind;

use crate::child::workload::misuse::reports::Printed;

/// What must be printed: how often of each address and kind.
pub(super) type Planted = BTreeMap<(usize, &'static str), u64>;

/// The first difference between what was planted and what was printed: what it is, what was
/// expected, what was seen.
pub(super) fn compare(planted: &Planted, printed: &Printed) -> Option<(Kind, String, String)> {
    for (&(address, kind), &times) in planted {
        let reported = printed.of.get(&(address, kind.to_owned())).copied().unwrap_or(0);
        let expected = format!("{address:#x} reported as {kind}, {times} times");
        if reported < times {
            let about = printed.about(address, kind);
            let kind = if about.is_empty() { Kind::MisuseMissed } else { Kind::WrongReport };
            return Some((kind, expected, format!("{reported} times{about}")));
        }
        if reported > times {
            return Some((Kind::WrongReport, expected, format!("{reported} times")));
        }
    }
    let is_planted = |report: &(usize, String)| {
        planted.keys().any(|&(address, kind)| address == report.0 && kind == report.1)
    };
    let (address, kind) = printed.of.keys().find(|report| !is_planted(report))?;
    let misnamed = planted.keys().any(|one| one.0 == *address);
    let found = if misnamed { Kind::WrongReport } else { Kind::FalseAlarm };
    let expected = "reports of what was planted alone".to_owned();
    Some((found, expected, format!("{address:#x} reported as {kind}")))
}

#[cfg(test)]
mod tests {
    use drystone::MisuseKind;

    use super::*;

    #[test]
    fn what_was_printed_is_compared_with_what_was_planted() {
        let (double, foreign) = (MisuseKind::DoubleFree.name(), MisuseKind::ForeignPointer.name());
        let planted = Planted::from([((16, double), 2), ((32, foreign), 1)]);
        let kind = |reports: &[(usize, &str, u64)]| {
            let of =
                reports.iter().map(|&(address, kind, times)| ((address, kind.to_owned()), times));
            let printed = Printed { of: of.collect(), ..Printed::default() };
            compare(&planted, &printed).map(|difference| difference.0)
        };
        assert_eq!(kind(&[(16, double, 2), (32, foreign, 1)]), None);
        assert_eq!(kind(&[(32, foreign, 1)]), Some(Kind::MisuseMissed));
        assert_eq!(kind(&[(16, double, 1), (32, foreign, 1)]), Some(Kind::MisuseMissed));
        assert_eq!(kind(&[(16, double, 2), (32, double, 1)]), Some(Kind::WrongReport));
        assert_eq!(kind(&[(16, double, 3), (32, foreign, 1)]), Some(Kind::WrongReport));
        assert_eq!(
            kind(&[(16, double, 2), (32, foreign, 1), (48, double, 1)]),
            Some(Kind::FalseAlarm)
        );
    }
}

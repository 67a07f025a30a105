//! Numbers as people read them.

/// Nanoseconds in three or four digits.
pub fn time(ns: f64) -> String {
    let (value, unit) = match ns {
        ns if ns < 1e3 => (ns, "ns"),
        ns if ns < 1e6 => (ns / 1e3, "µs"),
        ns => (ns / 1e6, "ms"),
    };
    let digits = if value < 10.0 { 2 } else { 1 };
    format!("{value:.digits$} {unit}")
}

/// A logarithm of a ratio as percent of change, with its sign.
pub fn change(ln_ratio: f64) -> String {
    format!("{:+.1} %", ln_ratio.exp_m1() * 100.0)
}

/// An interval of logarithms as percent; an open end where nothing bounds it yet.
pub fn interval(low: f64, high: f64) -> String {
    let end = |value: f64| match value.is_finite() {
        true => format!("{:+.1}", value.exp_m1() * 100.0),
        false => "?".to_owned(),
    };
    format!("{} … {} %", end(low), end(high))
}

/// A fraction as percent without a sign.
pub fn percent(fraction: f64) -> String {
    format!("{:.1} %", fraction * 100.0)
}

/// KiB as people read them.
pub fn kib(kib: f64) -> String {
    if kib < 10_240.0 { format!("{kib:.0} KiB") } else { format!("{:.1} MiB", kib / 1024.0) }
}

/// `1 row`, `2 rows`, `2 processes`.
pub fn count(number: usize, what: &str) -> String {
    let more = if what.ends_with('s') { "es" } else { "s" };
    format!("{number} {what}{}", if number == 1 { "" } else { more })
}

/// A line's end, and lines of at most 80 columns.
pub fn wrapped(text: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    for word in text.split(' ') {
        let length = word.trim_start_matches('\n').chars().count();
        if width > 0 && width + 1 + length > 80 {
            out.push_str("\n  ");
            width = 2;
        } else if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out.push('\n');
    out
}

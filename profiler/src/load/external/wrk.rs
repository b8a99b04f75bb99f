//! wrk 4: `wrk -c{concurrency} -d{duration}s --latency {url}`.

use std::collections::BTreeMap;

use crate::{
    load::external::{Printed, after},
    model::load::Latency,
};

/// Reads its report.
///
/// What it calls a timeout is an answer that came too late, and one of its requests; so may be one with a bad status.
/// Those that are both it does not tell, so the answers are at least as many as are left.
pub fn read(text: &str) -> Option<Printed> {
    let summary = text.lines().find(|line| line.contains(" requests in "))?;
    let (total, rest) = summary.trim().split_once(" requests in ")?;
    let total: u64 = total.parse().ok()?;
    let seconds = seconds(rest.split(',').next()?)?;
    let mut errors = BTreeMap::new();
    let mut count = |what: &str, count: u64| {
        if count != 0 {
            errors.insert(what.to_owned(), count);
        }
    };
    let refused = after(text, "Non-2xx or 3xx responses:").unwrap_or(0);
    count("status", refused);
    if let Some(line) = text.lines().find_map(|line| line.trim().strip_prefix("Socket errors:")) {
        for part in line.split(',') {
            if let Some((what, number)) = part.trim().split_once(' ') {
                count(what, number.parse().ok()?);
            }
        }
    }
    let late = errors.get("timeout").copied().unwrap_or(0);
    let requests = total.saturating_sub(refused + late);
    let threads = text.lines().find_map(|line| line.trim().split_once(" threads and "));
    let threads = threads.and_then(|(threads, _)| threads.parse().ok());
    Some(Printed { requests, errors, seconds, latency: latency(text), threads })
}

/// Only with `--latency`; without it there is no distribution.
fn latency(text: &str) -> Option<Latency> {
    let at = |percent: &str| Some((seconds(&after::<String>(text, percent)?)? * 1e9).round() as u64);
    // The line of the threads' statistics: average, deviation, maximum.
    let line = text.lines().find_map(|line| line.trim().strip_prefix("Latency "))?;
    let words: Vec<_> = line.split_whitespace().collect();
    let word = |place: usize| Some((seconds(words.get(place)?)? * 1e9).round() as u64);
    Some(Latency {
        p50_ns: at("50%")?,
        p90_ns: at("90%"),
        p95_ns: None,
        p99_ns: at("99%")?,
        mean_ns: word(0)?,
        max_ns: word(2)?,
        from_due_time: false,
    })
}

/// `97.00us`, `2.38ms`, `2.01s`, `1.50m`.
fn seconds(text: &str) -> Option<f64> {
    let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    units.iter().find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_report() {
        let printed = read(include_str!("../testdata/wrk-4.1.0.txt")).unwrap();
        assert_eq!((printed.requests, printed.seconds), (57_397, 2.01));
        assert_eq!(printed.threads, Some(1));
        assert!(printed.errors.is_empty());
        let latency = printed.latency.unwrap();
        assert_eq!((latency.p50_ns, latency.p90_ns, latency.p99_ns), (97_000, Some(2_380_000), 7_550_000));
        assert_eq!((latency.mean_ns, latency.max_ns), (692_210, 16_200_000));
    }

    #[test]
    fn errors_are_no_answers() {
        let printed = read(include_str!("../testdata/wrk-4.1.0-errors.txt")).unwrap();
        assert_eq!((printed.requests, printed.errors["status"], printed.latency), (0, 7996, None));
        let printed = read(include_str!("../testdata/wrk-4.1.0-timeout.txt")).unwrap();
        assert_eq!((printed.requests, printed.errors["timeout"], printed.errors.len()), (749, 8, 1));
        let text =
            "  10 requests in 1.00m, 1KB read\n  Socket errors: connect 0, read 3, write 0, timeout 1\n";
        let printed = read(text).unwrap();
        assert_eq!((printed.errors["read"], printed.errors["timeout"], printed.seconds), (3, 1, 60.0));
        assert_eq!(read("unable to connect"), None);
    }
}

//! ab 2.3: `ab -k -c {concurrency} -t {duration} {url}`.

use std::collections::BTreeMap;

use crate::{
    load::external::{Printed, after},
    model::load::Latency,
};

/// Answers of another length than the first.
const DIFFERS: &str = "other length (fine with ab -l)";

/// Reads its report.
///
/// An answer whose length differs from the first one's is an error to it, unless it is run with `-l`; and a connection
/// that was closed without an answer shows as nothing else. So it is one here, by a name that says what to do. Answers
/// with a bad status may be among them and are counted only once.
pub fn read(text: &str) -> Option<Printed> {
    let complete: u64 = after(text, "Complete requests:")?;
    let seconds = after(text, "Time taken for tests:")?;
    let mut errors = BTreeMap::new();
    let refused = after(text, "Non-2xx responses:").unwrap_or(0);
    if refused != 0 {
        errors.insert("status".to_owned(), refused);
    }
    let mut failed = 0;
    if let Some(kinds) = text.lines().find_map(|line| line.trim().strip_prefix("(Connect:")) {
        let kinds = format!("Connect:{}", kinds.trim_end_matches(')'));
        for (kind, count) in kinds.split(',').filter_map(|kind| kind.trim().split_once(':')) {
            let count: u64 = count.trim().parse().ok()?;
            let (name, count) = match kind {
                "Length" => (DIFFERS.to_owned(), count.saturating_sub(refused)),
                _ => (kind.to_lowercase(), count),
            };
            if count != 0 {
                errors.insert(name, count);
                failed += count;
            }
        }
    }
    Some(Printed {
        requests: complete.saturating_sub(refused + failed),
        errors,
        seconds,
        latency: latency(text),
        threads: Some(1),
    })
}

/// Whole milliseconds, but for the mean.
fn latency(text: &str) -> Option<Latency> {
    let at = |percent: &str| Some(after::<u64>(text, percent)? * 1_000_000);
    // The first of two lines that begin so; it is not rounded to milliseconds.
    let mean_ms: f64 = after(text, "Time per request:")?;
    Some(Latency {
        p50_ns: at("50%")?,
        p90_ns: at("90%"),
        p95_ns: at("95%"),
        p99_ns: at("99%")?,
        max_ns: at("100%")?,
        mean_ns: (mean_ms * 1e6).round() as u64,
        from_due_time: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_report() {
        let printed = read(include_str!("../testdata/ab-2.3.txt")).unwrap();
        assert_eq!((printed.requests, printed.seconds), (2000, 1.588));
        assert!(printed.errors.is_empty() && printed.latency.is_some());
    }

    #[test]
    fn errors_are_no_answers() {
        let printed = read(include_str!("../testdata/ab-2.3-errors.txt")).unwrap();
        assert_eq!((printed.requests, printed.errors["status"], printed.seconds), (0, 100, 0.083));
        let latency = printed.latency.unwrap();
        assert_eq!(
            (latency.p90_ns, latency.p99_ns, latency.mean_ns),
            (Some(8_000_000), 17_000_000, 3_324_000)
        );
        // The server closed each tenth connection without an answer.
        let printed = read(include_str!("../testdata/ab-2.3-cut.txt")).unwrap();
        assert_eq!((printed.requests, printed.errors[DIFFERS], printed.errors.len()), (450, 50, 1));
        let uneven = "Complete requests: 1000\nTime taken for tests: 1 seconds\nFailed requests: 857\n   \
                      (Connect: 0, Receive: 0, Length: 857, Exceptions: 0)\nNon-2xx responses: 100\n";
        let printed = read(uneven).unwrap();
        assert_eq!((printed.requests, printed.errors["status"], printed.errors[DIFFERS]), (143, 100, 757));
        let text = "Complete requests: 50\nTime taken for tests: 2.5 seconds\nFailed requests: 9\n   \
                    (Connect: 2, Receive: 0, Length: 6, Exceptions: 1)\n";
        let printed = read(text).unwrap();
        assert_eq!((printed.requests, printed.errors["connect"], printed.errors["exceptions"]), (41, 2, 1));
        assert_eq!(printed.errors[DIFFERS], 6);
    }
}

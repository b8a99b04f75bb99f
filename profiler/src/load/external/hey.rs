//! hey: `hey -c {concurrency} -z {duration}s {url}`.

use std::collections::BTreeMap;

use crate::{
    load::external::{Printed, after, kind},
    model::load::Latency,
};

/// Reads its summary.
pub fn read(text: &str) -> Option<Printed> {
    let seconds = after(text, "Total:")?;
    let (mut requests, mut errors) = (0, BTreeMap::new());
    let statuses = text.split("Status code distribution:").nth(1)?.lines();
    // `[200]	400 responses`, and below `Error distribution:` `[3]	Get "http://…": …`.
    for line in statuses {
        let Some((number, rest)) = line.trim().strip_prefix('[').and_then(|line| line.split_once(']')) else {
            continue;
        };
        let number: u64 = number.parse().ok()?;
        match rest.trim().strip_suffix(" responses") {
            Some(count) if number < 400 => requests += count.trim().parse::<u64>().ok()?,
            Some(count) => {
                errors.insert(format!("status {number}"), count.trim().parse().ok()?);
            }
            None => *errors.entry(kind(rest)).or_insert(0) += number,
        }
    }
    Some(Printed { requests, errors, seconds, latency: latency(text), threads: None })
}

fn latency(text: &str) -> Option<Latency> {
    let ns = |seconds: f64| (seconds * 1e9).round() as u64;
    // `  50% in 0.0008 secs`, in later versions with two signs.
    let at = |percent: &str| {
        let line = text.lines().find(|line| line.trim().starts_with(percent) && line.contains(" in "))?;
        line.split(" in ").nth(1)?.split_whitespace().next()?.parse().ok().map(ns)
    };
    Some(Latency {
        p50_ns: at("50%")?,
        p90_ns: at("90%"),
        p95_ns: at("95%"),
        p99_ns: at("99%")?,
        max_ns: ns(after(text, "Slowest:")?),
        mean_ns: ns(after(text, "Average:")?),
        from_due_time: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_summary() {
        let printed = read(include_str!("../testdata/hey-0.1.5-status.txt")).unwrap();
        assert_eq!((printed.requests, printed.seconds), (1800, 0.097));
        assert_eq!(printed.errors, BTreeMap::from([("status 503".to_owned(), 200)]));
        let latency = printed.latency.unwrap();
        assert_eq!((latency.p50_ns, latency.p90_ns, latency.p95_ns), (300_000, Some(600_000), Some(900_000)));
        assert_eq!((latency.p99_ns, latency.max_ns, latency.mean_ns), (2_900_000, 5_900_000, 400_000));
        assert_eq!(read("Usage: hey"), None);
    }

    #[test]
    fn requests_without_an_answer() {
        let printed = read(include_str!("../testdata/hey-0.1.5-timeout.txt")).unwrap();
        assert_eq!((printed.requests, printed.errors), (196, BTreeMap::from([("timeout".to_owned(), 4)])));
        let printed = read(include_str!("../testdata/hey-0.1.5-refused.txt")).unwrap();
        assert_eq!((printed.requests, printed.errors), (0, BTreeMap::from([("refused".to_owned(), 4)])));
        assert_eq!(printed.latency, None);
    }
}

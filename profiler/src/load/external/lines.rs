//! Any other program: its last line that is a JSON object says what it saw.

use serde::Deserialize;

use crate::{load::external::Printed, model::load::Latency};

/// What it has to print.
pub const EXPECTED: &str = r#"a line like {"requests": 1000, "errors": 0, "duration_s": 5.0, "p50_ms": 1.2, "p99_ms": 9.1, "mean_ms": 1.5, "max_ms": 20}, of which the latencies may be left out"#;

#[derive(Deserialize)]
struct PrintedLine {
    requests: u64,
    errors: u64,
    duration_s: f64,
    p50_ms: Option<f64>,
    p90_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    mean_ms: Option<f64>,
    max_ms: Option<f64>,
}

/// Reads the line.
pub fn read(text: &str) -> Option<Printed> {
    let line: PrintedLine = text.lines().rev().find_map(|line| serde_json::from_str(line.trim()).ok())?;
    let ns = |ms: Option<f64>| ms.map(|ms| (ms * 1e6).round() as u64);
    let latency = || {
        Some(Latency {
            p50_ns: ns(line.p50_ms)?,
            p90_ns: ns(line.p90_ms),
            p95_ns: ns(line.p95_ms),
            p99_ns: ns(line.p99_ms)?,
            mean_ns: ns(line.mean_ms)?,
            max_ns: ns(line.max_ms)?,
            from_due_time: false,
        })
    };
    let errors = [("error".to_owned(), line.errors)].into_iter().filter(|(_, count)| *count != 0).collect();
    Some(Printed {
        requests: line.requests,
        errors,
        seconds: line.duration_s,
        latency: latency(),
        threads: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_says_it() {
        let text = "warming up\n{\"requests\": 1, \"errors\": 0, \"duration_s\": 1}\n\
            {\"requests\": 10, \"errors\": 2, \"duration_s\": 2.5, \"p50_ms\": 1, \"p99_ms\": 4, \"mean_ms\": 1.5, \"max_ms\": 5}\nbye\n";
        let printed = read(text).unwrap();
        assert_eq!((printed.requests, printed.errors["error"], printed.seconds), (10, 2, 2.5));
        assert_eq!(printed.latency.unwrap().mean_ns, 1_500_000);
        assert_eq!(read("{\"requests\": 10}"), None);
    }
}

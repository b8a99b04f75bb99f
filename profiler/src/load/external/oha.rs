//! oha: `oha --no-tui --output-format json -c {concurrency} -z {duration}s {url}` (once `--json`).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    load::external::{Printed, kind},
    model::load::Latency,
};

/// Requests that were under way when its time was up: no fault of anybody's.
const CUT_OFF: &str = "aborted due to deadline";

/// Seconds everywhere.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OhaOutput {
    summary: Summary,
    #[serde(default)]
    latency_percentiles: BTreeMap<String, Option<f64>>,
    #[serde(default)]
    status_code_distribution: BTreeMap<String, u64>,
    #[serde(default)]
    error_distribution: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Summary {
    total: f64,
    slowest: Option<f64>,
    average: Option<f64>,
}

/// Reads its document.
pub fn read(text: &str) -> Option<Printed> {
    let document: OhaOutput = serde_json::from_str(text.get(text.find('{')?..)?).ok()?;
    let is_answer = |status: &str| status.parse::<u16>().is_ok_and(|status| status < 400);
    let (mut requests, mut errors) = (0, BTreeMap::new());
    for (said, count) in document.error_distribution.into_iter().filter(|(said, _)| said != CUT_OFF) {
        *errors.entry(kind(&said)).or_insert(0) += count;
    }
    for (status, count) in document.status_code_distribution {
        if is_answer(&status) {
            requests += count;
        } else {
            errors.insert(format!("status {status}"), count);
        }
    }
    let at = |name: &str| Some((document.latency_percentiles.get(name).copied()?? * 1e9).round() as u64);
    let ns = |seconds: Option<f64>| Some((seconds? * 1e9).round() as u64);
    let latency = || {
        Some(Latency {
            p50_ns: at("p50")?,
            p90_ns: at("p90"),
            p95_ns: at("p95"),
            p99_ns: at("p99")?,
            max_ns: ns(document.summary.slowest)?,
            mean_ns: ns(document.summary.average)?,
            from_due_time: false,
        })
    };
    Some(Printed { requests, errors, seconds: document.summary.total, latency: latency(), threads: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_document() {
        let printed = read(include_str!("../testdata/oha-1.4.7-status.json")).unwrap();
        assert_eq!((printed.requests, printed.seconds), (1800, 0.058_834_005));
        assert_eq!(printed.errors, BTreeMap::from([("status 503".to_owned(), 200)]));
        let latency = printed.latency.unwrap();
        assert_eq!((latency.p50_ns, latency.p90_ns, latency.p95_ns), (173_397, Some(384_221), Some(523_287)));
        assert_eq!((latency.p99_ns, latency.max_ns, latency.mean_ns), (1_376_022, 8_989_384, 230_230));
        assert_eq!(read("error: no url"), None);
    }

    #[test]
    fn requests_without_an_answer() {
        // Four more were under way at the end.
        let printed = read(include_str!("../testdata/oha-1.4.7-timeout.json")).unwrap();
        assert_eq!((printed.requests, printed.errors), (392, BTreeMap::from([("timeout".to_owned(), 4)])));
        let text = r#"{"summary": {"total": 0.0005, "slowest": null, "average": null}, "latencyPercentiles": {"p50": null},
            "statusCodeDistribution": {}, "errorDistribution": {"Connection refused (os error 111)": 10}}"#;
        let printed = read(text).unwrap();
        assert_eq!((printed.errors["refused"], printed.latency), (10, None));
    }
}

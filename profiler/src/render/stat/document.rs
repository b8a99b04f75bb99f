//! The exact numbers as JSON, in the model's public schema, with what is computed of each fleet.

use std::iter;

use serde::Serialize;

use crate::{
    model::{
        accounting::{FleetDelta, StatDelta},
        quality::Quality,
        report::Finding,
    },
    render::stat::{
        imbalance::{self, Imbalance},
        lifecycle,
    },
};

/// A [`StatDelta`] with its fleets' computed numbers.
#[derive(Serialize)]
pub struct StatDocument<'a> {
    schema_version: u32,
    started_unix_ns: u64,
    duration_ns: u64,
    fleets: Vec<FleetEntry<'a>>,
    quality: &'a Quality,
}

#[derive(Serialize)]
struct FleetEntry<'a> {
    #[serde(flatten)]
    delta: &'a FleetDelta,
    /// What stands out, the weightiest first.
    findings: &'a [Finding],
    /// Workers that were forked in the window.
    boots: u64,
    /// Workers that ended in it.
    deaths: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    imbalance: Option<Imbalance>,
}

impl<'a> StatDocument<'a> {
    /// The document of a window, with the findings of each fleet.
    #[must_use]
    pub fn of(stat: &'a StatDelta, findings: &'a [Vec<Finding>]) -> Self {
        let StatDelta { schema_version, started_unix_ns, duration_ns, fleets, quality } = stat;
        let findings = findings.iter().map(Vec::as_slice).chain(iter::repeat(&[][..]));
        let fleets = fleets.iter().zip(findings).map(|(delta, findings)| {
            let ended = lifecycle::of(delta);
            let deaths = ended.deaths.iter().map(|of| of.count).sum();
            FleetEntry { delta, findings, boots: ended.born, deaths, imbalance: imbalance::of(delta) }
        });
        Self {
            schema_version: *schema_version,
            started_unix_ns: *started_unix_ns,
            duration_ns: *duration_ns,
            fleets: fleets.collect(),
            quality,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{
        model::fixture,
        render::stat::{json, json_line},
    };

    #[test]
    fn the_schema_is_the_public_one() {
        let text = json(&fixture::stat(), &[]).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["schema_version"], 2);
        assert_eq!(value["duration_ns"], 1_000_000_000);
        let worker = &value["fleets"][0]["workers"][1];
        for key in [
            "on_cpu_ns",
            "user_ns",
            "system_ns",
            "run_queue_ns",
            "blocked_ns",
            "voluntary_switches",
            "preempted_switches",
            "migrations",
            "wakeups",
        ] {
            assert!(worker[key].is_u64(), "{key}");
            assert!(worker["threads"][0][key].is_u64(), "{key} of a thread");
        }
        assert_eq!(worker["role"], "worker");
        assert_eq!(worker["worker_class"], "sync");
        assert_eq!(worker["tgid"], 1234);
        assert_eq!(worker["python"], "3.11.7");
        assert_eq!(worker["exited"], false);
        assert_eq!((&worker["slot"], &worker["generation"]), (&1.into(), &0.into()));
        assert_eq!(value["fleets"][0]["workers"][0].get("slot"), None, "a master has none");
        let dead = &value["fleets"][0]["workers"][2];
        assert_eq!((&dead["death"]["signal"], &dead["boot_cpu_ns"]), (&9.into(), &120_000_000.into()));
        let fleet = &value["fleets"][0];
        assert_eq!((&fleet["boots"], &fleet["deaths"]), (&1.into(), &1.into()));
        // 400 and 200 ms: the mean is 300, the deviation 100.
        assert!((fleet["imbalance"]["cpu_cv"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(serde_json::from_str::<StatDelta>(&text).unwrap(), fixture::stat());
        assert_eq!(worker["threads"][1]["name"], "watch");
        assert_eq!(value["quality"]["threads_compared"], 5);
    }

    #[test]
    fn a_line_is_a_line_even_with_a_hostile_name() {
        let mut stat = fixture::stat();
        stat.fleets[0].name = "a\n\u{9b}2J\u{2028}b".to_owned();
        let text = json_line(&stat, &[]).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(text.is_ascii());
        assert_eq!(serde_json::from_str::<StatDelta>(&text).unwrap(), stat);
    }
}

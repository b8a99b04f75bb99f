//! The exact numbers as JSON, in the model's public schema.

use crate::{model::accounting::StatDelta, render::escape};

/// One document, indented, with a line break at its end.
pub fn document(stat: &StatDelta) -> anyhow::Result<String> {
    Ok(escape::json(serde_json::to_string_pretty(stat)?) + "\n")
}

/// One document on a line of its own, for a stream of them.
pub fn line(stat: &StatDelta) -> anyhow::Result<String> {
    Ok(escape::json(serde_json::to_string(stat)?) + "\n")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::model::fixture;

    #[test]
    fn the_schema_is_the_public_one() {
        let text = document(&fixture::stat()).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["schema_version"], 1);
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
        assert_eq!(worker["threads"][1]["name"], "watch");
        assert_eq!(value["quality"]["threads_compared"], 5);
    }

    #[test]
    fn a_line_is_a_line_even_with_a_hostile_name() {
        let mut stat = fixture::stat();
        stat.fleets[0].name = "a\n\u{9b}2J\u{2028}b".to_owned();
        let text = line(&stat).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(text.is_ascii());
        assert_eq!(serde_json::from_str::<StatDelta>(&text).unwrap(), stat);
    }
}

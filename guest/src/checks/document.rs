//! What punchclock prints as JSON.

use anyhow::{Context as _, Result};
use serde_json::Value;

/// All processes, over the fleets.
pub fn workers(document: &Value) -> Result<Vec<&Value>> {
    let fleets = document["fleets"].as_array().context("failed to find fleets in what is printed")?;
    Ok(fleets.iter().filter_map(|fleet| fleet["workers"].as_array()).flatten().collect())
}

/// All threads, over the processes.
pub fn threads(document: &Value) -> Result<Vec<&Value>> {
    let workers = workers(document)?.into_iter();
    Ok(workers.filter_map(|worker| worker["threads"].as_array()).flatten().collect())
}

/// A number of a process or a thread.
pub fn counter(of: &Value, name: &str) -> Result<u64> {
    of[name].as_u64().with_context(|| format!("failed to find {name} in {of}"))
}

//! The command under test.

use std::{
    env,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// `punchclock` with these arguments. The binary is the one that `cargo xtask test` built and names.
#[must_use]
pub fn punchclock(arguments: &[&str]) -> Command {
    let built = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/release/punchclock");
    let mut command = Command::new(env::var_os("PUNCHCLOCK").map_or_else(built, PathBuf::from));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs it to its end.
#[must_use]
pub fn run(arguments: &[&str]) -> Output {
    punchclock(arguments).output().expect("punchclock is built: cargo xtask test")
}

/// Runs it to its end, which must be a good one, and reads its JSON.
#[must_use]
pub fn json(arguments: &[&str]) -> Value {
    parse(&run(arguments))
}

/// The JSON of a run that must have ended well.
#[must_use]
pub fn parse(output: &Output) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "punchclock failed: {stderr}");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("not JSON: {error}; stderr: {stderr}"))
}

/// All workers of a document of `stat --json`, over its fleets.
#[must_use]
pub fn workers(document: &Value) -> Vec<&Value> {
    let fleets = document["fleets"].as_array().expect("fleets").iter();
    fleets.flat_map(|fleet| fleet["workers"].as_array().expect("workers")).collect()
}

/// The worker with a PID.
#[must_use]
pub fn worker(document: &Value, tgid: u32) -> &Value {
    let found = workers(document).into_iter().find(|worker| worker["tgid"] == tgid);
    found.unwrap_or_else(|| panic!("no worker {tgid} in {document:#}"))
}

/// A counter of a worker or a thread.
#[must_use]
pub fn counter(of: &Value, name: &str) -> u64 {
    of[name].as_u64().unwrap_or_else(|| panic!("no number {name} in {of:#}"))
}

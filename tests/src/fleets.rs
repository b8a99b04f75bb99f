//! Fleets as `punchclock ps` tells them.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    punchclock::{json, workers},
    servers::Server,
};

/// Where no module lets processes write over their command lines.
pub const UNTITLED: [(&str, &str); 1] = [("PYTHONPATH", ".:untitled")];

/// The fleet that a process is in, by `ps`; `None` if it is in none.
#[must_use]
pub fn find(tgid: u32) -> Option<Value> {
    let document = json(&["ps", "--json"]);
    let has =
        |fleet: &&Value| fleet["workers"].as_array().expect("workers").iter().any(|row| row["tgid"] == tgid);
    document["fleets"].as_array().expect("a list").iter().find(has).cloned()
}

/// The fleet that a process is in, by `ps`.
#[must_use]
pub fn of(tgid: u32) -> Value {
    find(tgid).unwrap_or_else(|| panic!("{tgid} is in no fleet: {:#}", json(&["ps", "--json"])))
}

/// A fleet's PIDs with this role, sorted.
#[must_use]
pub fn tgids(fleet: &Value, role: &str) -> Vec<u64> {
    let rows = fleet["workers"].as_array().expect("workers").iter();
    let mut tgids: Vec<_> =
        rows.filter(|row| row["role"] == role).filter_map(|row| row["tgid"].as_u64()).collect();
    tgids.sort_unstable();
    tgids
}

/// What a fleet should be.
#[derive(Debug, PartialEq, Eq)]
pub struct Expected<'a> {
    /// What serves.
    pub server: &'a str,
    /// The application, mostly.
    pub name: &'a str,
    /// Class of each worker.
    pub class: Option<&'a str>,
    /// PIDs, in any order.
    pub masters: Vec<u32>,
    /// PIDs of the workers.
    pub workers: Vec<u32>,
    /// PIDs of the helpers.
    pub helpers: Vec<u32>,
}

/// Panics unless the fleet of a process is what it should be, once what shows later than a server says shows.
pub fn assert_becomes(tgid: u32, expected: &Expected<'_>) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let sorted = |tgids: &[u32]| {
        let mut tgids: Vec<_> = tgids.iter().copied().map(u64::from).collect();
        tgids.sort_unstable();
        tgids
    };
    let wanted = [&expected.masters, &expected.workers, &expected.helpers].map(|tgids| sorted(tgids));
    loop {
        let fleet = find(tgid).unwrap_or_default();
        let rows = || fleet["workers"].as_array().into_iter().flatten();
        let classes = rows().filter(|row| row["role"] == "worker").map(|row| row["worker_class"].as_str());
        let is_as_expected = !fleet.is_null()
            && fleet["server"] == expected.server
            && fleet["name"] == expected.name
            && classes.into_iter().all(|class| class == expected.class)
            && ["master", "worker", "helper"].map(|role| tgids(&fleet, role)) == wanted;
        if is_as_expected {
            let is_told = |row: &Value| row["evidence"].as_array().is_some_and(|why| !why.is_empty());
            assert!(rows().all(is_told), "evidence for each: {fleet:#}");
            return;
        }
        assert!(Instant::now() < deadline, "expected {expected:?}, found {fleet:#}");
    }
}

/// Panics unless a server is a fleet of one process.
#[track_caller]
pub fn assert_alone(server: &Server, called: &str, name: &str, class: Option<&str>) {
    let helpers = children(server.master());
    let workers = vec![server.master()];
    assert_becomes(
        server.master(),
        &Expected { server: called, name, class, masters: vec![], workers, helpers },
    );
}

/// Panics unless a server is a master with workers that it named, and whatever else it has for children.
#[track_caller]
pub fn assert_led(server: &Server, called: &str, name: &str, class: Option<&str>, workers: Vec<u32>) {
    let helpers = children(server.master()).into_iter().filter(|child| !workers.contains(child)).collect();
    let masters = vec![server.master()];
    assert_becomes(server.master(), &Expected { server: called, name, class, masters, workers, helpers });
}

/// Panics unless a server's name selects its fleets.
#[track_caller]
pub fn assert_selected(name: &str, tgid: u32) {
    let document = json(&["stat", "--json", "-d", "0.1", name]);
    assert!(document["fleets"].as_array().expect("fleets").iter().all(|fleet| fleet["server"] == name));
    assert!(workers(&document).into_iter().any(|row| row["tgid"] == tgid), "{document:#}");
}

/// A process's children, by the kernel: of each of its threads in turn, oldest first.
#[must_use]
pub fn children(tgid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{tgid}/task")).into_iter().flatten().flatten();
    let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let tgids = |children: String| children.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    children.flat_map(tgids).filter_map(|tgid| tgid.parse().ok()).collect()
}

/// A process's command line, its words separated by blanks.
#[must_use]
pub fn command_line(tgid: u32) -> String {
    let line = fs::read(format!("/proc/{tgid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

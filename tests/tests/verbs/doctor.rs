//! `doctor`: what this host allows, and what it says of itself.

use std::{fs, process::Output};

use profiler_tests::{
    gunicorn::Gunicorn,
    interpreters::unsupported,
    punchclock::{Unprivileged, json, run, under},
};
use serde_json::Value;

/// The checks, each with a status and what belongs to it.
fn checks(output: &Output) -> Vec<Value> {
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = document.as_array().expect("a list").clone();
    for check in &checks {
        let has = |key: &str| check[key].as_str().is_some_and(|text| !text.is_empty());
        assert!(has("name") && has("found"), "{check:#}");
        match check["status"].as_str().expect("a status") {
            "ok" => assert!(!has("fix"), "{check:#}"),
            "degraded" => assert!(has("lost") && has("fix"), "{check:#}"),
            "missing" => assert!(has("needed_for") && has("fix"), "{check:#}"),
            other => panic!("{other} in {check:#}"),
        }
    }
    checks
}

/// The check whose name contains this.
fn check<'a>(checks: &'a [Value], name: &str) -> &'a Value {
    let has = |check: &&Value| check["name"].as_str().is_some_and(|text| text.contains(name));
    checks.iter().find(has).unwrap_or_else(|| panic!("no {name} in {checks:#?}"))
}

/// The statuses that are not met.
fn missing(checks: &[Value]) -> Vec<&Value> {
    checks.iter().filter(|check| check["status"] == "missing").collect()
}

#[test]
fn as_root_on_this_host_nothing_is_missing() {
    let output = run(&["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let checks = checks(&output);
    assert!(missing(&checks).is_empty(), "{checks:#?}");
    for name in [
        "kernel",
        "BTF",
        "CAP_BPF",
        "CAP_PERFMON",
        "perf event",
        "kallsyms",
        "memlock",
        "lockdown",
        "PID namespace",
    ] {
        let _ = check(&checks, name);
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("/proc");
    assert_eq!(check(&checks, "kernel")["found"], release.trim());
    // Without a counter of cycles there is the software clock.
    let counter = fs::exists("/sys/bus/event_source/devices/cpu").expect("/sys");
    let clock = check(&checks, "perf event");
    assert_eq!(clock["status"] == "ok", counter, "{clock:#}");
    // The text tells the same, and ends with what works.
    let text = run(&["doctor"]);
    let text = String::from_utf8_lossy(&text.stdout);
    assert_eq!(text.lines().last(), Some("ps ✓  stat ✓  record ✓  dump ✓  audit ✓"));
    assert!(checks.iter().all(|check| text.contains(check["name"].as_str().expect("a name"))), "{text}");
}

#[test]
fn what_is_missing_is_told_with_exit_code_4() {
    let output = Unprivileged::copy().run(&["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(4));
    let checks_of_nobody = checks(&output);
    for name in ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE"] {
        assert_eq!(check(&checks_of_nobody, name)["status"], "missing");
    }
    let hide = "mount -t tmpfs tmpfs /sys/kernel/btf && exec \"$@\"";
    let output = under(&["unshare", "--mount", "sh", "-c", hide, "sh"], &["doctor", "--json"]).output();
    let output = output.expect("unshare runs");
    assert_eq!(output.status.code(), Some(4));
    let checks = checks(&output);
    assert_eq!(missing(&checks).len(), 1, "{checks:#?}");
    assert_eq!(check(&checks, "BTF")["status"], "missing");
}

#[test]
fn fleets_are_told_whether_they_can_be_walked() {
    let _gunicorn = Gunicorn::start(2, &["--name", "shop-for-the-doctor"]);
    let all = json(&["doctor", "--json"]);
    let shop = check(all.as_array().expect("a list"), "shop-for-the-doctor").clone();
    assert_eq!(shop["status"], "ok", "{shop:#}");
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let Some(unsupported) = unsupported(folder.path()) else { return };
    let _pool = unsupported.start("pool.py", &[]);
    let output = run(&["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(0), "one fleet that cannot be walked keeps nobody from the others");
    let checks = checks(&output);
    let pool = checks.iter().find(|check| {
        check["name"].as_str().is_some_and(|name| name.contains("pool.py")) && check["status"] == "degraded"
    });
    let found = pool.expect("a check")["found"].as_str().expect("text");
    assert!(found.contains(&format!("3.{}", unsupported.minor)), "{found}");
}

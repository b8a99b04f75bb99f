//! Memory and disks: `stat --memory` against what the process itself is told by the kernel.

use std::path::Path;

use profiler_tests::{
    interpreters::supported,
    punchclock::{counter, run},
    watch::Watch,
    workload::Workload,
};

#[test]
fn traffic_of_a_window_is_what_the_process_is_told() {
    // On a disk: what a file system in memory reads and writes is no traffic.
    let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("there is room for a folder");
    let mut workload = start(folder.path());
    // Once before the window, which is not to be counted.
    workload.tell("go");
    let before = workload.json();
    assert!(counter(&before, "major_faults") > 0, "nothing came from the disk: {before}");
    let watch = Watch::with(&workload.pid(), &["--memory"]);
    workload.tell("go");
    let truth = workload.json();
    let document = watch.end();
    let memory = &document["fleets"][0]["workers"][0]["memory"];
    for name in ["major_faults", "read_bytes", "written_bytes"] {
        assert_eq!(memory[name], truth[name], "{name}: {memory} {truth}");
    }
    assert!(counter(&truth, "written_bytes") >= 8 << 20, "{truth}");
    let [rss, pss] = ["rss_bytes", "pss_bytes"].map(|name| counter(memory, name));
    assert!(rss > 64 << 20 && pss > 64 << 20 && pss <= rss, "it keeps 64 MiB: {memory}");
}

#[test]
fn memory_is_a_table_of_its_own_if_it_is_asked_for() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let workload = start(folder.path());
    let text = |more: &[&str]| {
        let output = run(&[&["stat", "-d", "0.2", "-p", &workload.pid()], more].concat());
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(!text(&[]).contains("PSS"));
    assert!(text(&["--memory"]).contains("PSS"));
}

fn start(folder: &Path) -> Workload {
    let interpreter = supported().pop().expect("there is a Python");
    interpreter.start("disk_and_memory.py", &[&folder.display().to_string()])
}

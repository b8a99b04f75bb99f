//! Processes and threads that come and go by the thousand: most have no rows of their own, and all of them count.

use profiler_tests::{
    budget::rest,
    punchclock::{counter, worker, workers},
    watch::Watch,
    workload::Workload,
};
use serde_json::Value;

/// More than are listed.
const COUNT: u64 = 6000;
/// What one may do after it was collected, or last looked at its clock.
const AFTER_NS: u64 = 500_000;

/// Watches the storm, and returns the document, and what was said.
fn watch(kind: &str) -> (Workload, Value, Value) {
    let mut workload = Workload::python("python3".as_ref(), "storm.py", &[kind, &COUNT.to_string()]);
    rest(&workload);
    let watch = Watch::at_intervals("1", &["-p", &workload.pid()]);
    workload.tell("go");
    let said = workload.line();
    rest(&workload);
    let document = watch.end();
    let said = said.strip_prefix("done ").expect("it is done").to_owned();
    (workload, document, serde_json::from_str(&said).expect("it speaks JSON"))
}

/// Compares sums of those who ended with what they told.
fn assert_sums(rows: &[&Value], said: &Value) {
    let sum = |name: &str| rows.iter().map(|row| counter(row, name)).sum::<u64>();
    let [cpu, voluntary, preempted] = [0, 1, 2].map(|index| said["books"][index].as_u64().expect("a number"));
    let on_cpu = sum("on_cpu_ns");
    assert!(
        on_cpu + COUNT * 1000 >= cpu && on_cpu < cpu + COUNT * AFTER_NS,
        "{on_cpu} ns, by themselves {cpu} ns"
    );
    for (name, told) in [("voluntary_switches", voluntary), ("preempted_switches", preempted)] {
        let counted = sum(name);
        assert!(counted >= told && counted <= told + 3 * COUNT, "{name}: {counted}, by themselves {told}");
    }
    let missing = sum("wall_ns").abs_diff(
        ["on_cpu_ns", "run_queue_ns", "run_queue_uncounted_ns", "blocked_ns"].map(sum).iter().sum(),
    );
    assert!(missing < COUNT * AFTER_NS, "{missing} ns are missing");
    let naps = rows.iter().map(|row| counter(&row["blocked_by"]["sleep"], "count")).sum::<u64>();
    // Who is preempted on its way to a nap may be late for it.
    assert!(naps.abs_diff(COUNT) <= COUNT / 100, "{naps} naps");
}

/// Panics if any who ended was lost.
fn assert_no_loss(document: &Value) {
    for cause in
        ["exit_lost", "exit_not_kept", "lifecycle_lost", "processes_full", "ring_full", "undescribed"]
    {
        assert_eq!(document["quality"]["lost"].get(cause), None, "{}", document["quality"]);
    }
}

#[test]
fn processes() {
    let (workload, document, said) = watch("processes");
    assert_no_loss(&document);
    let ended: Vec<_> = workers(&document).into_iter().filter(|row| row["tgid"] != workload.tgid()).collect();
    let together: u64 = ended.iter().filter_map(|row| row["ended"]["processes"].as_u64()).sum();
    let alone = ended.iter().filter(|row| row.get("ended").is_none()).count() as u64;
    assert_eq!(together + alone, COUNT);
    assert!(together >= COUNT / 4, "{together} of {COUNT} have rows together");
    assert_sums(&ended, &said);
}

#[test]
fn threads() {
    let (workload, document, said) = watch("threads");
    assert_no_loss(&document);
    let worker = worker(&document, workload.tgid());
    let threads = worker["threads"].as_array().expect("threads");
    let ended: Vec<_> = threads.iter().filter(|row| row["tid"] != workload.tgid()).collect();
    assert!(ended.len() <= 4097, "{} rows", ended.len());
    assert_sums(&ended, &said);
}

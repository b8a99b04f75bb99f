//! Recordings of a real Gunicorn: whose stacks they are, what they weigh, and what a respawned worker gets.

use profiler_tests::{
    books::{Books, state},
    gunicorn::Gunicorn,
    load::Load,
    punchclock::{counter, worker, workers},
    record::{Record, Recorded},
    recording::total,
    wait_for,
    workload::signal,
};
use serde_json::Value;

fn on_cpu_ns(tgid: u32) -> u64 {
    Books::of_process(tgid).values().map(|books| books.on_cpu_ns).sum()
}

/// Stacks under a root that contain a function.
fn stacks_with<'a>(
    folded: &'a [(Vec<String>, u64)],
    root: &'a str,
    function: &'a str,
) -> impl Iterator<Item = &'a Vec<String>> {
    let called = move |frame: &String| frame.split(' ').next() == Some(function);
    folded.iter().map(|(stack, _)| stack).filter(move |stack| stack[0] == root && stack.iter().any(called))
}

/// Every sample of a worker has Python frames, from the first one on.
fn assert_seen_from_birth(recorded: &Recorded, tgid: u32) {
    let samples = recorded.recording.samples_of(tgid);
    assert!(total(&samples) > 50, "{} samples of {tgid}", total(&samples));
    for sample in &samples {
        assert!(!sample.functions().is_empty(), "{sample:#?}");
    }
    assert_eq!(recorded.recording.lost("not_walkable"), 0);
    assert_eq!(worker(recorded.recording.stat(), tgid)["exited"], false);
}

#[test]
fn the_application_stands_under_each_of_four_workers() {
    let gunicorn = Gunicorn::start(4, &[]);
    let tgids = gunicorn.workers();
    let _load = Load::start(gunicorn.port, 8);
    let outputs = ["-o", "out.svg", "-o", "out.folded", "-o", "out.json", "--by", "worker", "-r", "499"];
    let recorded = Record::start(&[gunicorn.master()], &outputs).end_after(&tgids, 400);

    let (folded, svg) = (recorded.folded("out.folded"), recorded.text("out.svg"));
    let json: Value = serde_json::from_str(&recorded.text("out.json")).expect("JSON");
    for tgid in tgids {
        let root = format!("worker {tgid}");
        assert!(svg.contains(&root));
        for callee in ["load_orders", "compute_totals", "convert_price", "render_page"] {
            assert!(stacks_with(&folded, &root, callee).next().is_some(), "{callee} under {root}");
            for stack in stacks_with(&folded, &root, callee) {
                let place = |name: &str| stack.iter().position(|frame| frame.split(' ').next() == Some(name));
                assert!(place("SyncWorker.run") < place("application"), "{stack:?}");
                assert!(place("application") < place(callee), "{stack:?}");
            }
        }
        assert_eq!(worker(&json, tgid)["worker_class"], "sync");
    }
    assert!(svg.contains("application (workloads/wsgi_app.py:"));
    // The stacks of each process weigh exactly what it had of the CPUs.
    for worker in workers(&json) {
        let (role, tgid) = (worker["role"].as_str().expect("a role"), counter(worker, "tgid"));
        let own = folded.iter().filter(|(stack, _)| stack[0] == format!("{role} {tgid}"));
        assert_eq!(own.map(|(_, ns)| ns).sum::<u64>(), counter(worker, "on_cpu_ns"), "{role} {tgid}");
    }
}

#[test]
fn a_respawned_worker_has_python_frames_from_its_first_sample() {
    let gunicorn = Gunicorn::start(2, &[]);
    let before = gunicorn.workers();
    let record = Record::start(&[gunicorn.master()], &["-r", "999"]);
    signal(before[0], libc::SIGKILL);
    wait_for("the master to collect it", || state(before[0]).is_none());
    let fresh = || gunicorn.workers().into_iter().find(|tgid| !before.contains(tgid));
    wait_for("a new worker", || fresh().is_some());
    let fresh = fresh().expect("it is there");
    let _load = Load::start(gunicorn.port, 4);
    let recorded = record.end_after(&[fresh], 300);

    assert_seen_from_birth(&recorded, fresh);
    let stat = recorded.recording.stat();
    assert_eq!(worker(stat, before[0])["exited"], true, "who is dead keeps its row");
    assert_eq!(worker(stat, before[1])["exited"], false);
    assert_eq!(worker(stat, fresh)["role"], "worker");
    assert_eq!(worker(stat, fresh)["worker_class"], "sync");
    let applies = |functions: Vec<&str>| functions.contains(&"application");
    let samples = recorded.recording.samples_of(fresh);
    assert!(samples.iter().any(|sample| applies(sample.functions())));
}

#[test]
fn workers_that_take_turns_are_all_seen() {
    let gunicorn = Gunicorn::start(1, &["--max-requests", "30"]);
    let first = gunicorn.workers()[0];
    let record = Record::start(&[gunicorn.master()], &["-r", "999"]);
    let load = Load::start(gunicorn.port, 4);
    // One after the other serves its thirty requests and ends.
    let mut seen = vec![first];
    while seen.len() < 4 {
        let is_new = |tgid: &u32| on_cpu_ns(*tgid) > 100_000_000;
        let mut next = None;
        wait_for("the next worker", || {
            next = gunicorn.workers().into_iter().find(|tgid| !seen.contains(tgid)).filter(is_new);
            next.is_some()
        });
        seen.extend(next);
    }
    drop(load);
    let gone: Vec<_> = seen.iter().filter(|tgid| state(**tgid).is_none()).collect();
    assert!(gone.len() >= 2, "{gone:?} of {seen:?}");
    let recorded = record.end();
    let stat = recorded.recording.stat();
    for tgid in gone {
        assert_eq!(worker(stat, *tgid)["exited"], true);
        assert!(counter(worker(stat, *tgid), "on_cpu_ns") > 0);
    }
    for tgid in &seen[1..] {
        let samples = recorded.recording.samples_of(*tgid);
        let applied = |functions: Vec<&str>| functions.contains(&"application");
        assert!(samples.iter().any(|sample| applied(sample.functions())), "worker {tgid}");
    }
    assert_eq!(recorded.recording.lost("not_walkable"), 0);
}

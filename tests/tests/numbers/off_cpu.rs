//! Off-CPU stacks: where the threads of a real fleet wait, and how long, against what its requests clock themselves.

use profiler_tests::{
    books::Books,
    gunicorn::Gunicorn,
    interpreters,
    load::{Load, get_path},
    punchclock::{counter, run, worker},
    record::{Record, Recorded, folded},
    wait_for,
};
use serde_json::Value;

/// How long the three waits took in a worker so far, ns, as it says itself.
fn truth(port: u16) -> Value {
    let answer = get_path(port, "/truth").expect("it answers");
    serde_json::from_str(answer.rsplit("\r\n\r\n").next().expect("a body")).expect("JSON")
}

/// Renders the recording again, as folded stacks.
fn report(recorded: &Recorded, words: &[&str]) -> Vec<(Vec<String>, u64)> {
    let (punch, out) = (recorded.path("all.punch"), recorded.path("again.folded"));
    let [punch, out] = [&punch, &out].map(|path| path.display().to_string());
    let output = run(&[&["report", &punch, "-o", &out], words].concat());
    assert!(output.status.success(), "{output:?}");
    folded(&recorded.text("again.folded"))
}

fn sum(stacks: &[(Vec<String>, u64)], wanted: impl Fn(&[String]) -> bool) -> u64 {
    stacks.iter().filter(|(stack, _)| wanted(stack)).map(|(_, ns)| ns).sum()
}

fn has(stack: &[String], function: &str) -> bool {
    stack.iter().any(|frame| frame.split(' ').next() == Some(function))
}

/// Requests only while it is recorded, so that each of their waits is in the window as a whole.
fn record_requests(gunicorn: &Gunicorn, arguments: &[&str]) -> (Recorded, Value) {
    let before = truth(gunicorn.port);
    let record = Record::start(&[gunicorn.master()], arguments);
    let load = Load::start(gunicorn.port, 3);
    let nap = |truth: &Value| truth["nap"].as_u64().expect("a number");
    wait_for("enough requests", || nap(&truth(gunicorn.port)) > nap(&before) + 1_500_000_000);
    drop(load);
    let after = truth(gunicorn.port);
    let recorded = record.end();
    let since = |key: &str| after[key].as_u64().unwrap_or(0) - before[key].as_u64().unwrap_or(0);
    let spent = serde_json::json!({ "nap": since("nap"), "query": since("query"), "take": since("take") });
    (recorded, spent)
}

#[test]
fn sleeping_asking_and_locking_have_their_true_shares() {
    let gunicorn = Gunicorn::serving("waiting_shop", 1, &["--worker-class", "gthread", "--threads", "4"]);
    let (recorded, truth) = record_requests(&gunicorn, &[]);
    let stacks = report(&recorded, &["--off-cpu"]);
    let waits = [("nap", "[sleep]"), ("query", "[socket]"), ("take", "[lock]")];
    let total: u64 = waits.iter().map(|(name, _)| truth[name].as_u64().expect("a number")).sum();
    let seen: u64 = waits.iter().map(|(name, _)| sum(&stacks, |stack| has(stack, name))).sum();
    for (function, reason) in waits {
        let ns =
            sum(&stacks, |stack| has(stack, function) && stack.last().is_some_and(|leaf| leaf == reason));
        assert_eq!(ns, sum(&stacks, |stack| has(stack, function)) - gil(&stacks, function), "{function}");
        let share = ns as f64 / seen as f64;
        let true_share = truth[function].as_u64().expect("a number") as f64 / total as f64;
        assert!(
            (share - true_share).abs() < 0.01,
            "{function}: {share:.4} of the graph, {true_share:.4} of time"
        );
        // The kernel's clock and Python's tell the same time, but for what it takes to get a CPU and the GIL back.
        let clocked = truth[function].as_u64().expect("a number");
        let waited = counter(worker(recorded.recording.stat(), gunicorn.workers()[0]), "run_queue_ns");
        assert!(
            ns <= clocked && (ns + waited) as f64 > 0.97 * clocked as f64,
            "{function}: {ns} of {clocked} ns"
        );
    }
}

/// Now and then a thread waits for the GIL on its way out of a call.
fn gil(stacks: &[(Vec<String>, u64)], function: &str) -> u64 {
    sum(stacks, |stack| has(stack, function) && stack.last().is_some_and(|leaf| leaf == "[gil]"))
}

#[test]
fn the_graph_and_what_it_leaves_out_are_the_budgets_blocked_time() {
    let gunicorn = Gunicorn::serving("waiting_shop", 2, &["--worker-class", "gthread", "--threads", "2"]);
    for arguments in [["--min-block", "0"], ["--min-block", "45ms"]] {
        let (recorded, _) = record_requests(&gunicorn, &arguments);
        let stat = recorded.recording.stat();
        let stacks = report(&recorded, &["--off-cpu", "--idle"]);
        let wall = report(&recorded, &["--wall", "--idle"]);
        for tgid in [gunicorn.workers(), vec![gunicorn.master()]].concat() {
            let row = worker(stat, tgid);
            let root = format!("{} {tgid}", row["role"].as_str().expect("a role"));
            let of_it = |stack: &[String]| stack[0] == root;
            let (blocked, all) = (counter(row, "blocked_ns"), sum(&stacks, of_it));
            assert!(all.abs_diff(blocked) * 1000 <= blocked, "{all} in the graph, {blocked} ns blocked");
            let times = ["on_cpu_ns", "run_queue_ns", "blocked_ns"].map(|key| counter(row, key));
            let (times, all) = (times.iter().sum::<u64>(), sum(&wall, of_it));
            assert!(all.abs_diff(times) * 1000 <= times, "{all} in the graph, {times} ns");
            let kept_ns = all - sum(&stacks, |stack| of_it(stack) && stack[1] == "[no stack was kept]");
            assert!(kept_ns > 0);
        }
        let lost = sum(&stacks, |stack| stack[1] == "[no stack was kept]");
        let queries = sum(&stacks, |stack| has(stack, "query"));
        if arguments[1] == "0" {
            let all: u64 = stacks.iter().map(|(_, ns)| ns).sum();
            assert!(lost * 100 < all && queries > 0, "{lost} of {all}");
        } else {
            // A query takes 30 ms.
            assert!(queries == 0 && lost > 1_000_000_000, "{queries} {lost}");
        }
    }
}

#[test]
fn a_thread_that_is_preempted_waits_on_its_stack() {
    let Some(python) = interpreters::debian() else { return };
    let workload = python.start("preempted.py", &[]);
    let tgid = workload.tgid();
    let books = || Books::of_thread(tgid, tgid).expect("it lives").run_queue_ns;
    let record = Record::start(&[tgid], &["--min-block", "0"]);
    let before = books();
    wait_for("enough time in the run queue", || books() - before > 1_500_000_000);
    let recorded = record.end();
    let row = worker(recorded.recording.stat(), tgid);
    // The rival is its child, and recorded with it.
    let mut stacks = report(&recorded, &["--wall"]);
    stacks.retain(|(stack, _)| stack[0].ends_with(&format!(" {tgid}")));
    let queued = |stack: &[String]| stack.last().is_some_and(|leaf| leaf == "[run queue]");
    let below = |function| sum(&stacks, |stack| queued(stack) && has(stack, function));
    let (heavy, light) = (below("heavy"), below("light"));
    let all = counter(row, "run_queue_ns") + counter(row, "run_queue_uncounted_ns");
    assert_eq!(sum(&stacks, queued), all);
    // But for waits within a millisecond of another one.
    assert!((heavy + light) * 100 >= all * 95, "{heavy} and {light} of {all} ns");
    // Whoever has the CPU longer loses it more often.
    let share = heavy as f64 / (heavy + light) as f64;
    assert!((share - 0.75).abs() < 0.1, "{share}");
    // One wait for each preemption that the kernel counts, but for those at the edges, and within a millisecond of another.
    let rows = recorded.recording.preempted().iter().filter(|wait| wait["tgid"] == tgid);
    let waits: u64 = rows.map(|wait| counter(wait, "count")).sum();
    let preemptions = counter(row, "preempted_switches");
    assert!(waits <= preemptions + 2 && waits * 10 >= preemptions * 9, "{waits} of {preemptions}");
}

#[test]
fn a_table_that_is_full_costs_stacks_and_no_time() {
    let gunicorn = Gunicorn::serving("waiting_shop", 1, &["--worker-class", "gthread", "--threads", "2"]);
    let (recorded, truth) = record_requests(&gunicorn, &["--max-stacks", "4"]);
    let tgid = gunicorn.workers()[0];
    let row = worker(recorded.recording.stat(), tgid);
    assert!(recorded.recording.lost("stacks_full") > 0);
    // The budget has it all the same.
    let nap = truth["nap"].as_u64().expect("a number");
    assert!(counter(&row["blocked_by"]["sleep"], "ns") > nap * 97 / 100);
    let stacks = report(&recorded, &["--off-cpu", "--idle"]);
    let all = sum(&stacks, |stack| stack[0] == format!("worker {tgid}"));
    let blocked = counter(row, "blocked_ns");
    assert!(all.abs_diff(blocked) * 1000 <= blocked, "{all} in the graph, {blocked} ns blocked");
}

#[test]
fn native_and_kernel_frames_come_when_asked_for() {
    let gunicorn = Gunicorn::serving("waiting_shop", 1, &["--worker-class", "gthread", "--threads", "2"]);
    let (recorded, _) = record_requests(&gunicorn, &["-o", "out.svg", "--off-cpu"]);
    let naps = |words: &[&str]| {
        let stacks = report(&recorded, words);
        let naps = stacks.into_iter().map(|(stack, _)| stack).filter(|stack| has(stack, "nap"));
        naps.filter(|stack| stack.last().is_some_and(|leaf| leaf == "[sleep]")).collect::<Vec<_>>()
    };
    for stack in naps(&["--off-cpu"]) {
        assert!(!stack.iter().any(|frame| frame.ends_with("_[k]") || frame.contains("(libc")), "{stack:?}");
    }
    let both = naps(&["--off-cpu", "-n", "-k"]);
    assert!(!both.is_empty());
    for stack in both {
        let place = |wanted: &dyn Fn(&String) -> bool| stack.iter().position(wanted);
        let python = place(&|frame| frame.starts_with("nap "));
        let native = place(&|frame| frame.contains("(libc"));
        let kernel = place(&|frame| frame.contains("clock_nanosleep_[k]"));
        assert!(python < native && native < kernel && python.is_some(), "{stack:?}");
        assert!(
            !stack.iter().any(|frame| frame.contains("bpf") || frame.contains("__schedule")),
            "{stack:?}"
        );
    }
    assert!(recorded.text("out.svg").contains(" · off CPU</text>"));
}

//! The exact numbers, against the kernel's own books and against targets that keep theirs.

use std::{ops::RangeInclusive, path::PathBuf, process::Stdio, thread, time::Duration};

use profiler_tests::{
    attached::Attached,
    books::{Books, state, states},
    interpreters,
    punchclock::{counter, json, punchclock, under, worker, workers},
    steal::{Stolen, TICK_NS},
    wait_for,
    watch::Watch,
    workload::{Workload, bound_to_us, signal},
};
use serde_json::Value;

/// 0.1 % of a time, or 50 µs.
fn tolerance(ns: u64) -> u64 {
    (ns / 1000).max(50_000)
}

fn python() -> PathBuf {
    interpreters::required(11).map_or_else(|| PathBuf::from("python3"), |interpreter| interpreter.path)
}

/// A workload at rest, waiting for the word to work.
fn work(kind: &str) -> Workload {
    let workload = Workload::python(&python(), "work.py", &[kind]);
    asleep(workload.tgid());
    workload
}

/// Watches a workload do its work once, from rest to rest: the document, and what the workload said.
fn watch(workload: &mut Workload) -> (Value, Value) {
    let watch = Watch::start(&workload.pid());
    workload.tell("go");
    let said = workload.line();
    asleep(workload.tgid());
    let said = said.strip_prefix("done ").expect("it is done");
    (watch.end(), serde_json::from_str(said).expect("it speaks JSON"))
}

fn asleep(tgid: u32) {
    wait_for("the workload to rest", || state(tgid) == Some('S'));
}

fn threads(worker: &Value) -> &Vec<Value> {
    worker["threads"].as_array().expect("threads")
}

fn thread_of(worker: &Value, tid: u32) -> &Value {
    threads(worker).iter().find(|thread| thread["tid"] == tid).expect("the thread has a row")
}

fn assert_equal(of: &Value, books: Books, before: Books) {
    assert_eq!(counter(of, "on_cpu_ns"), books.on_cpu_ns - before.on_cpu_ns, "on-CPU ns");
    assert_eq!(counter(of, "run_queue_ns"), books.run_queue_ns - before.run_queue_ns, "run-queue ns");
    assert_eq!(counter(of, "voluntary_switches"), books.voluntary - before.voluntary, "voluntary switches");
    assert_eq!(counter(of, "preempted_switches"), books.preempted - before.preempted, "preempted switches");
    assert_eq!(counter(of, "migrations"), books.migrations - before.migrations, "migrations");
}

fn states_ns(of: &Value) -> u64 {
    ["on_cpu_ns", "run_queue_ns", "blocked_ns"].map(|state| counter(of, state)).iter().sum()
}

fn assert_closes(of: &Value, wall_ns: u64) {
    let sum = states_ns(of);
    assert!(sum.abs_diff(wall_ns) <= tolerance(wall_ns), "{sum} ns are not {wall_ns} ns: {of:#}");
}

/// Stopped at both edges, a process's books stand still there: every number is the kernel's to the last digit.
#[test]
fn stopped_at_both_edges_all_books_are_equal() {
    let mut workload = work("mixed");
    let stop = |workload: &Workload| {
        workload.signal(libc::SIGSTOP);
        wait_for("all its threads to stop", || states(workload.tgid()).iter().all(|state| *state == 'T'));
        Books::of_process(workload.tgid())
    };
    let before = stop(&workload);
    let watch = Watch::start(&workload.pid());
    workload.signal(libc::SIGCONT);
    workload.tell("go");
    let busy = |books: &Books| books.voluntary > 20;
    wait_for("four busy threads", || {
        Books::of_process(workload.tgid()).values().filter(|b| busy(b)).count() >= 4
    });
    let after = stop(&workload);
    let document = watch.end();
    let worker = worker(&document, workload.tgid());
    assert!(after.len() == 5 && threads(worker).len() == 5);
    for (tid, books) in after {
        assert_equal(thread_of(worker, tid), books, before.get(&tid).copied().unwrap_or_default());
    }
}

/// From rest to rest with much going on in between: equal, too, and the three states add up to wall time.
#[test]
fn from_rest_to_rest_all_books_are_equal() {
    let mut workload = work("naps");
    let before = Books::of_process(workload.tgid());
    let (document, _) = watch(&mut workload);
    let after = Books::of_process(workload.tgid());
    let worker = worker(&document, workload.tgid());
    assert_equal(worker, after[&workload.tgid()], before[&workload.tgid()]);
    assert_closes(worker, counter(&document, "duration_ns"));
}

/// A thread that sleeps is blocked: at least for what it asked for, at most for what it measured around it, and
/// each sleep is one voluntary switch and one wake-up.
#[test]
fn sleep_is_blocked_time() {
    let mut workload = work("naps");
    let (document, took) = watch(&mut workload);
    let worker = worker(&document, workload.tgid());
    let blocked = counter(worker, "blocked_ns");
    let took = took.as_u64().expect("it says how long");
    // Before and after the naps it waits for a word, which is blocked time as well.
    let at_rest = counter(&document, "duration_ns") - took;
    assert!(blocked >= 500_000_000, "fifty naps of 10 ms: {blocked}");
    assert!(blocked <= took + at_rest && blocked + counter(worker, "on_cpu_ns") + tolerance(took) >= took);
    assert!(counter(worker, "voluntary_switches") >= 50);
    // Asleep at both edges: as many sleeps ended as began.
    assert_eq!(counter(worker, "wakeups"), counter(worker, "voluntary_switches"));
}

/// A running thread's slices count up to the edges: compared with the CPU clock and the switch counts that the
/// target reads itself all the time, at the very instants of many edges.
#[test]
fn open_slices_count_up_to_the_edges() {
    let stolen = Stolen::so_far();
    let mut workload = Workload::python(&python(), "clocked.py", &[]);
    let documents = lines(&["stat", "--json", "-d", "2.5", "-i", "0.25", "-p", &workload.pid()]);
    workload.tell("stop");
    let books: Vec<[u64; 4]> = serde_json::from_str(&workload.line()).expect("it speaks JSON");
    assert!(documents.len() >= 10);
    let mut short = Vec::new();
    for document in &documents {
        let start = counter(document, "started_unix_ns");
        let end = start + counter(document, "duration_ns");
        let (low, high) = (at(&books, start), at(&books, end));
        let worker = worker(document, workload.tgid());
        let on_cpu = counter(worker, "on_cpu_ns");
        let truth = high.cpu.start() - low.cpu.end()..=high.cpu.end() - low.cpu.start();
        // What is stolen after the kernel's last look at its clocks is in no book yet.
        let within = tolerance(*truth.end()) + if stolen.is_more() { TICK_NS } else { 0 };
        let near = truth.start().saturating_sub(within)..=truth.end() + within;
        assert!(near.contains(&on_cpu), "on-CPU {on_cpu} ns, by its own clock {truth:?} ns");
        for (name, index) in [("voluntary_switches", 1), ("preempted_switches", 2)] {
            let truth = high.book[index + 1] - low.book[index + 1];
            assert!(
                counter(worker, name).abs_diff(truth) <= 2,
                "{name}: {worker:#}, by its own count {truth}"
            );
        }
        let (sum, wall) = (states_ns(worker), counter(document, "duration_ns"));
        assert!(sum <= wall + tolerance(wall), "{sum} ns are more than {wall} ns: {worker:#}");
        short.extend((sum + tolerance(wall) < wall).then(|| wall - sum));
    }
    // Some time is in none of the kernel's books: a thread that reads its own misses the same, to the µs.
    let is_stolen = stolen.is_more() && short.iter().sum::<u64>() <= stolen.at_most();
    assert!(
        is_stolen || short.len() * 2 <= documents.len(),
        "{short:?} ns are missing in {} windows",
        documents.len()
    );
    let all = worker(documents.last().expect("the whole window"), workload.tgid());
    assert!(counter(all, "on_cpu_ns") > 500_000_000, "it ran: {all:#}");
}

/// The documents of a run that prints one a line.
fn lines(arguments: &[&str]) -> Vec<Value> {
    // Away from the last CPU, where the target is.
    let output = under(&["taskset", "-c", "0"], arguments).output().expect("taskset runs");
    assert!(output.status.success(), "punchclock failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// What a target knows of its books at an instant.
struct Known {
    /// Its CPU time is in here: between two of its readings it does not know when it was switched out.
    cpu: RangeInclusive<u64>,
    /// Its last reading before.
    book: [u64; 4],
}

fn at(books: &[[u64; 4]], instant: u64) -> Known {
    let next = books.iter().position(|book| book[0] >= instant).expect("it read on after the window");
    let (low, high) = (books[next - 1], books[next]);
    let ran = high[1] - low[1];
    let least = low[1] + ran.saturating_sub(high[0] - instant);
    Known { cpu: least..=low[1] + ran.min(instant - low[0]), book: low }
}

/// A thread that is never switched out still counts, by the clock alone: all of the window is on-CPU.
#[test]
fn a_window_without_a_switch_is_all_on_cpu() {
    let mut workload = Workload::python(&python(), "fifo.py", &[]);
    workload.tell("go");
    wait_for("it to spin", || {
        Books::of_process(workload.tgid()).values().all(|books| books.on_cpu_ns > 200_000_000)
    });
    // The kernel's guard against real-time hogs may switch it out in some windows, and a hypervisor may take the
    // CPU from under it, which no kernel counts as its time: what most windows say holds.
    let stolen = Stolen::so_far();
    let mut missing = Vec::new();
    for _ in 0..20 {
        let document = json(&["stat", "--json", "-d", "0.2", "-p", &workload.pid()]);
        let worker = worker(&document, workload.tgid());
        if counter(worker, "voluntary_switches") + counter(worker, "preempted_switches") == 0 {
            missing.push(counter(&document, "duration_ns").abs_diff(counter(worker, "on_cpu_ns")));
        }
    }
    missing.sort_unstable();
    assert!(missing.len() >= 5, "there were windows without a switch: {missing:?}");
    let within = tolerance(200_000_000) + if stolen.is_more() { stolen.at_most() / 20 } else { 0 };
    assert!(missing[missing.len() / 2] <= within, "ns that were not on-CPU: {missing:?}");
}

/// Moving between CPUs loses nothing, and is counted.
#[test]
fn moves_between_cpus() {
    let mut workload = work("migrate");
    let before = Books::of_process(workload.tgid());
    let (document, _) = watch(&mut workload);
    let after = Books::of_process(workload.tgid());
    let worker = worker(&document, workload.tgid());
    assert_equal(worker, after[&workload.tgid()], before[&workload.tgid()]);
    assert!(counter(worker, "migrations") >= 99);
}

/// Threads that start and end inside the window have rows, with the CPU time that they read of themselves last.
#[test]
fn threads_that_come_and_go() {
    let mut workload = work("threads");
    let (document, said) = watch(&mut workload);
    let worker = worker(&document, workload.tgid());
    let said = said.as_object().expect("CPU time by tid");
    assert_eq!(said.len(), 4);
    for (tid, own) in said {
        let thread = thread_of(worker, tid.parse().expect("a tid"));
        let (own, on_cpu) = (own.as_u64().expect("ns"), counter(thread, "on_cpu_ns"));
        assert_eq!(thread["exited"], true);
        // After its last look at the clock it only had to end.
        assert!(on_cpu >= own && on_cpu < own + 2_000_000, "{on_cpu} ns, by its own clock {own} ns");
    }
    assert_eq!(worker["exited"], false);
    // What the threads did is the process's: it says the same of all its threads, the dead ones too.
    let sum: u64 = threads(worker).iter().map(|thread| counter(thread, "on_cpu_ns")).sum();
    assert_eq!(counter(worker, "on_cpu_ns"), sum);
}

/// Processes forked inside the window are followed from their first instruction and keep their rows when they are
/// gone; the truth is what the kernel told their parent.
#[test]
fn processes_that_come_and_go() {
    let mut workload = work("forks");
    let (document, said) = watch(&mut workload);
    let said = said.as_object().expect("usage by PID");
    assert_eq!(said.len(), 3);
    assert_eq!(workers(&document).len(), 4);
    for (tgid, usage) in said {
        let worker = worker(&document, tgid.parse().expect("a PID"));
        let [cpu, voluntary, preempted] = [0, 1, 2].map(|index| usage[index].as_u64().expect("a number"));
        assert_eq!(worker["exited"], true);
        let on_cpu = counter(worker, "on_cpu_ns");
        // The parent is told in µs, and may be told before the child's last switch.
        assert!(on_cpu + 2000 >= cpu && on_cpu < cpu + 2_000_000, "{on_cpu} ns, by wait4 {cpu} ns");
        assert!(counter(worker, "voluntary_switches") - voluntary <= 1, "{worker:#}: {voluntary}");
        assert!(counter(worker, "preempted_switches") - preempted <= 1, "{worker:#}: {preempted}");
    }
}

/// The split into user and system time is the kernel's own of `/proc/PID/stat`, whose unit is 10 ms.
#[test]
fn user_and_system_time() {
    for (kind, name, other) in [("userland", "user_ns", "system_ns"), ("kernel", "system_ns", "user_ns")] {
        let mut workload = work(kind);
        let before = times(workload.tgid());
        let (document, _) = watch(&mut workload);
        let after = times(workload.tgid());
        let worker = worker(&document, workload.tgid());
        assert_eq!(counter(worker, "user_ns") + counter(worker, "system_ns"), counter(worker, "on_cpu_ns"));
        assert!(counter(worker, name) > 4 * counter(worker, other), "{kind}: {worker:#}");
        for (name, index) in [("user_ns", 0), ("system_ns", 1)] {
            let truth = after[index] - before[index];
            assert!(
                counter(worker, name).abs_diff(truth) <= 20_000_000,
                "{kind} {name}: {worker:#}, {truth}"
            );
        }
    }
}

/// User and system time of a process by `/proc/PID/stat`, ns.
fn times(tgid: u32) -> [u64; 2] {
    let stat = std::fs::read_to_string(format!("/proc/{tgid}/stat")).expect("it lives");
    let mut words = stat.rsplit(") ").next().expect("it has a name").split(' ').skip(11);
    [(); 2].map(|()| words.next().and_then(|word| word.parse::<u64>().ok()).expect("ticks") * 10_000_000)
}

/// A run compares itself with `/proc`, and finds no difference.
#[test]
fn it_checks_itself() {
    let mut workload = work("mixed");
    let (document, _) = watch(&mut workload);
    let quality = &document["quality"];
    assert_eq!(quality["largest_on_cpu_difference_ns"], 0);
    assert_eq!(quality["largest_switch_difference"], 0);
    assert!(counter(quality, "threads_compared") >= 1);
    // Of a thread that is just beginning, or ending, no Python stack can be told.
    let lost = quality["lost"].as_object().expect("losses");
    assert!(lost.keys().all(|cause| cause == "no_thread_state"), "{lost:?}");
}

/// The intervals of a window add up to it.
#[test]
fn intervals_add_up() {
    let workload = Workload::python(&python(), "clocked.py", &[]);
    let arguments = ["stat", "--json", "-d", "1", "-i", "0.2", "-p", &workload.pid()];
    let mut documents = lines(&arguments);
    let all = documents.pop().expect("the whole window");
    assert_eq!(documents.len(), 5);
    for name in ["on_cpu_ns", "run_queue_ns", "preempted_switches", "migrations"] {
        let sum: u64 =
            documents.iter().map(|document| counter(worker(document, workload.tgid()), name)).sum();
        assert_eq!(sum, counter(worker(&all, workload.tgid()), name), "{name}");
    }
}

/// punchclock is held up while it starts, as on a host that has no time for it.
#[test]
fn a_window_that_begins_late_says_so_and_is_as_long_as_asked() {
    let workload = Workload::python(&python(), "work.py", &["spin"]);
    let mut command = punchclock(&["stat", "--json", "-d", "1", "-p", &workload.pid()]);
    let child = bound_to_us(&mut command).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let child = child.expect("punchclock is built: cargo xtask test");
    wait_for("its first map", || Attached::to(child.id()).count("map_id") > 0);
    signal(child.id(), libc::SIGSTOP);
    thread::sleep(Duration::from_millis(1500));
    signal(child.id(), libc::SIGCONT);
    let output = child.wait_with_output().expect("it is our child");
    let stat: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let notes = stat["quality"]["notes"].as_array().expect("notes");
    let late = notes.iter().filter_map(Value::as_str).filter_map(|note| {
        note.strip_prefix("the window began ")?.strip_suffix(" s after it was asked for")?.parse::<f64>().ok()
    });
    let late: Vec<_> = late.collect();
    assert!(late.len() == 1 && late[0] >= 1.5, "{notes:?}");
    let ns = counter(&stat, "duration_ns");
    assert!((1_000_000_000..1_500_000_000).contains(&ns), "{ns} ns");
}

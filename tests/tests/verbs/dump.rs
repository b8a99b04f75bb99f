//! `punchclock dump`: what every thread does now, against what the workload says of itself.

use std::process::Command;

use profiler_tests::{
    interpreters::{since, supported},
    punchclock::run,
    truth::busy,
    workload::Workload,
};
use serde_json::Value;

/// Dumps a process, as JSON.
fn dump(workload: &Workload) -> Value {
    let output = run(&["dump", "--json", "-p", &workload.pid()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn threads(dump: &Value) -> Vec<Value> {
    dump["fleets"][0]["workers"][0]["threads"].as_array().expect("threads").clone()
}

/// The Python functions of a thread, leaf first.
fn functions(thread: &Value) -> Vec<String> {
    let frames = thread["frames"].as_array().expect("frames").iter();
    let python = frames.filter(|frame| frame["kind"] == "python");
    python.map(|frame| frame["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn blocked_threads_say_on_what_where_and_for_how_long() {
    for interpreter in since(8) {
        let workload = interpreter.start("blocked_threads.py", &[]);
        let dump = dump(&workload);
        let threads = threads(&dump);
        for (function, reason) in [
            ("wait_for_lock", "lock"),
            ("wait_for_peer", "socket"),
            ("wait_for_pipe", "pipe"),
            ("rest", "sleep"),
        ] {
            let blocked =
                threads.iter().find(|thread| functions(thread).iter().any(|name| name.ends_with(function)));
            let blocked = blocked.unwrap_or_else(|| panic!("{function} on {:?}: {dump:#}", interpreter.path));
            assert_eq!(
                (&blocked["state"], &blocked["reason"]),
                (&"blocked".into(), &reason.into()),
                "{blocked:#}"
            );
            assert!(functions(blocked)[0].ends_with(function), "{blocked:#}");
            let line =
                blocked["frames"].as_array().expect("frames").iter().find(|frame| frame["kind"] == "python");
            assert_eq!(line.expect("a frame")["line"], line_of(function), "{blocked:#}");
            assert!(blocked["frames"][0]["kind"] == "kernel", "{blocked:#}");
        }
    }
}

/// The line on which a function of the workload waits: it is marked there.
fn line_of(function: &str) -> u64 {
    let path = profiler_tests::workloads().join("blocked_threads.py");
    let source = std::fs::read_to_string(path).expect("it is there");
    let mark = format!("# {function}");
    let line = source.lines().position(|line| line.ends_with(&mark)).expect("it is marked");
    line as u64 + 1
}

#[test]
fn a_wait_is_as_old_as_the_workload_says() {
    let interpreter = supported().pop().expect("there is a Python");
    let mut workload = interpreter.start("blocked_threads.py", &[]);
    // It says when it went to sleep, on the clock that ours is compared with.
    workload.tell("since");
    let since_ns = workload.line().parse::<u64>().expect("ns");
    let dump = dump(&workload);
    let at_ns = dump["at_unix_ns"].as_u64().expect("ns");
    let thread = threads(&dump).into_iter().find(|thread| functions(thread).contains(&"rest".to_owned()));
    let for_ns = thread.expect("it rests")["for_ns"].as_u64().expect("ns");
    let true_ns = at_ns - since_ns;
    assert!(for_ns <= true_ns && true_ns - for_ns < 20_000_000, "{for_ns} of {true_ns} ns");
}

#[test]
fn what_runs_has_the_stack_of_a_moment_before() {
    let (workload, truth) = busy();
    let dump = dump(&workload);
    let threads = threads(&dump);
    assert_eq!(threads.len(), 1);
    assert!(["running", "runnable"].contains(&threads[0]["state"].as_str().expect("a state")), "{dump:#}");
    let mut seen = functions(&threads[0]);
    seen.reverse();
    let names = truth.names();
    assert!(
        seen.len() >= names.len() - 1
            && names.starts_with(&seen.iter().map(String::as_str).collect::<Vec<_>>()),
        "{seen:?} {names:?}"
    );
}

/// Where coroutines say what they await, a task that waits has the chain that the program itself sees.
#[test]
fn tasks_that_wait_say_for_what() {
    for interpreter in since(14) {
        let mut workload = interpreter.start("awaiting.py", &[]);
        let truth: Value = serde_json::from_str(&workload.line()).expect("JSON");
        let dump = dump(&workload);
        let tasks = threads(&dump)[0]["tasks"].as_array().expect("tasks").clone();
        let frame = |frame: &Value| serde_json::json!([frame["name"], frame["file"], frame["line"]]);
        let mut seen: Vec<_> = tasks
            .iter()
            .map(|task| {
                let frames: Vec<_> = task["frames"].as_array().expect("frames").iter().map(frame).collect();
                let mut awaited_by: Vec<_> =
                    task["awaited_by"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
                awaited_by.sort_unstable();
                assert_eq!(task["is_begun"], true, "{task:#}");
                serde_json::json!([task["name"], frames, awaited_by])
            })
            .collect();
        seen.sort_by_key(|task| task[0].as_str().map(str::to_owned));
        assert_eq!(Value::Array(seen), truth, "{interpreter:?}");
        assert!(truth.as_array().expect("tasks").len() == 8, "{truth:#}");
    }
}

#[test]
fn text_names_threads_and_states() {
    let interpreter = supported().pop().expect("there is a Python");
    let workload = interpreter.start("blocked_threads.py", &[]);
    let output = run(&["dump", "-p", &workload.pid()]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains(": blocked for ") && text.contains(" ms, sleep\n") && text.contains("rest ("),
        "{text}"
    );
    let gone = Command::new("true").spawn().map(|mut child| (child.id(), child.wait())).expect("it starts").0;
    assert_eq!(run(&["dump", "-p", &gone.to_string()]).status.code(), Some(3));
}

//! Comparisons of real recordings, each with a known answer.

use std::{cell::Cell, fs, path::PathBuf, process::Command};

use profiler_tests::{
    interpreters::supported,
    punchclock::{parse, refusal, run},
    record::Record,
    workload::Workload,
    workloads,
};
use serde_json::Value;
use tempfile::TempDir;

/// A folder of recordings of `workloads/priced.py`, and how many were made.
struct Shelf(TempDir, Cell<u32>);

/// How `render` is dearer, in per cent, and how often a second it is sampled.
#[derive(Clone, Copy)]
struct Run {
    more: &'static str,
    rate_hz: &'static str,
}

impl Shelf {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("there is room for a folder"), Cell::new(0))
    }

    /// Records several at the same time, so that what the host does meanwhile is done to all of them: each for so long,
    /// with `render` so much dearer. What the recordings are called.
    fn record(&self, seconds: &str, runs: &[Run]) -> Vec<String> {
        let python = supported().pop().expect("there is a Python").path;
        let begin = |run: &Run| {
            let log = self.0.path().join(format!("{}.log", self.1.replace(self.1.get() + 1)));
            let log = log.to_str().expect("it is UTF-8").to_owned();
            // On one CPU by turns: two CPUs of a shared host differ by more than what is to be found.
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", "0"]).arg(&python).arg(workloads().join("priced.py"));
            command.args([&log, run.more]);
            let workload = Workload::start(command);
            workload.wait_until_used(20);
            (workload, log, run.rate_hz)
        };
        let workloads: Vec<_> = runs.iter().map(begin).collect();
        let start = |(workload, log, rate_hz): &(Workload, String, &str)| {
            let pid = workload.pid();
            let words = ["-p", &pid, "-d", seconds, "-r", rate_hz, "--access-log", log];
            (Record::with(&words), log.replace(".log", ".punch"))
        };
        let records: Vec<_> = workloads.iter().map(start).collect();
        let keep = |(record, path): (Record, String)| {
            let recorded = record.wait();
            fs::copy(recorded.path("all.punch"), &path).expect("there is room for a file");
            path
        };
        records.into_iter().map(keep).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// The numbers of the first group, by name.
fn number<'a>(diff: &'a Value, name: &str) -> &'a Value {
    let numbers = diff["groups"][0]["numbers"].as_array().expect("numbers");
    numbers.iter().find(|number| number["name"] == name).unwrap_or_else(|| panic!("no {name} in {diff:#}"))
}

/// Pairs of recordings that are made until a difference shows: a host whose neighbours move both sides by more than the
/// difference hides it, and is then right to say so.
const TRIES: usize = 3;

#[test]
fn a_regression_of_ten_per_cent_is_found_and_its_function_is_named() {
    let shelf = Shelf::new();
    let svg = shelf.path("diff.svg");
    let compare = || {
        let recordings = shelf.record("30", &["0", "10"].map(|more| Run { more, rate_hz: "499" }));
        let [before, after] = recordings.as_slice() else { panic!("two") };
        let output = run(&["compare", before, after, "--json", "-o", svg.to_str().expect("it is UTF-8")]);
        (parse(&output), recordings)
    };
    let is_real = |diffs: &Value| number(&diffs[0], "cpu_ms_per_request")["is_real"] == true;
    let found = std::iter::repeat_with(compare).take(TRIES).find(|(diffs, _)| is_real(diffs));
    let (diffs, recordings) = found.expect("a tenth more CPU time is a difference");
    let [before, after] = recordings.as_slice() else { panic!("two") };
    let diff = &diffs[0];
    assert_eq!(diff["per"], "request");
    let cpu = number(diff, "cpu_ms_per_request");
    let verdict = &diff["verdicts"][0];
    assert_eq!((&verdict["number"], &verdict["outcome"]), (&cpu["name"], &cpu["outcome"]), "{verdict:#}");
    assert_eq!(verdict["outcome"], "differs");
    let ratio = cpu["ratio"].as_f64().expect("a ratio");
    assert!((1.04..=1.17).contains(&ratio), "{cpu:#}");
    let first = &diff["functions"][0];
    assert_eq!(first["name"], "render", "{:#}", diff["functions"]);
    assert_eq!(first["is_real"], true, "{first:#}");
    assert!(first["self_change_interval_ms"][0].as_f64().expect("a number") > 0.0, "{first:#}");
    let svg = fs::read_to_string(svg).expect("it is written");
    assert!(svg.contains("render (workloads/priced.py)") && svg.trim_end().ends_with("</svg>"));

    // The threshold is crossed, and another is not.
    let judged = |condition: &str| run(&["compare", before, after, "--fail-if", condition]);
    let crossed = judged("cpu_ms_per_request>+3%");
    assert_eq!(crossed.status.code(), Some(10));
    assert!(String::from_utf8_lossy(&crossed.stderr).contains("crossed: cpu_ms_per_request>+3%"));
    let text = String::from_utf8_lossy(&crossed.stdout).into_owned();
    assert!(text.starts_with("CPU per request rose by ") && text.lines().count() <= 25, "{text}");
    assert_eq!(judged("cpu_ms_per_request>+40%").status.code(), Some(0));
    let unknown = judged("cpu>+5%");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there are cpu_ms_per_request, "));

    let markdown = run(&["compare", before, after, "--markdown"]);
    let markdown = String::from_utf8_lossy(&markdown.stdout).into_owned();
    assert!(
        markdown.starts_with("## CPU per request rose by ")
            && markdown.contains("| render (workloads/priced.py) |"),
        "{markdown}"
    );
}

#[test]
fn equal_runs_are_not_called_different() {
    let shelf = Shelf::new();
    let (mut tries, mut called) = (0, Vec::new());
    for _ in 0..7 {
        let runs = shelf.record("5", &[Run { more: "0", rate_hz: "99" }; 3]);
        for [before, after] in [[0, 1], [1, 2], [2, 0]].map(|pair| pair.map(|run: usize| &runs[run])) {
            let diffs = parse(&run(&["compare", before, after, "--json"]));
            let numbers = diffs[0]["groups"][0]["numbers"].as_array().expect("numbers").clone();
            tries += 1;
            let real: Vec<_> = numbers.into_iter().filter(|number| number["is_real"] == true).collect();
            called.extend(Some(real).filter(|real| !real.is_empty()));
        }
    }
    assert_eq!(tries, 21);
    assert!(called.len() <= 1, "{called:#?}");
}

#[test]
fn unlike_recordings_are_refused() {
    let shelf = Shelf::new();
    let recordings = shelf.record("1", &["99", "999"].map(|rate_hz| Run { more: "0", rate_hz }));
    let [slow, fast] = recordings.as_slice() else { panic!("two") };
    let (why, _) = refusal(&run(&["compare", slow, fast]), 2);
    assert!(why.contains("99 Hz") && why.contains("999 Hz"), "{why}");
    let (none, _) = refusal(&run(&["compare", slow, slow, "--requests", "5"]), 2);
    assert!(none.contains("for each"), "{none}");
}

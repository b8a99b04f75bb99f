//! Programs that any user may run, beside an honest one: each verb ends in time, stays small and says what is missing, and the honest
//! one's numbers are exact, and its stacks whole.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use profiler_tests::{
    attached::Attached,
    books::Books,
    bounded::{Bounded, Ended, assert_does_not_act},
    cannot_run,
    interpreters::{required, supported},
    mallory::Mallory,
    punchclock::{counter, worker},
    recording::{Frame, Recording, Sample, total},
    truth::{Truth, busy},
    wait_for,
    workload::Workload,
};
use serde_json::Value;

/// CPU time of the honest one in a window.
const WORK_MS: u64 = 400;
/// So often is it sampled meanwhile.
const RATE_HZ: u64 = 499;

/// Processes of one user that each take all they can get.
const MANY: usize = 20;

/// A process that tells its stack, and runs only while it is watched; and a server at rest, for `ps`.
struct Neighbour {
    workload: Workload,
    truth: Truth,
    server: Workload,
    workers: Value,
}

impl Neighbour {
    fn new() -> Self {
        let (workload, truth) = busy();
        workload.stop();
        let mut server = supported().pop().expect("there is a Python").start("prefork.py", &["2"]);
        let workers = server.json();
        Self { workload, truth, server, workers }
    }

    fn tgid(&self) -> u32 {
        self.workload.tgid()
    }

    fn books(&self) -> Books {
        Books::of_thread(self.tgid(), self.tgid()).expect("it lives")
    }

    /// Works through a window of a run that has begun, and ends it: the run, which was in time.
    fn work(&self, run: Bounded) -> Ended {
        let began = Instant::now();
        self.workload.go_on_for(WORK_MS);
        run.interrupt();
        let window = began.elapsed();
        let ended = run.end();
        ended.assert_in_time(window);
        ended
    }

    /// Panics unless a document has what the kernel's books say of it.
    fn assert_exact(&self, document: &Value, before: Books) {
        let (row, after) = (worker(document, self.tgid()), self.books());
        assert_eq!(counter(row, "on_cpu_ns"), after.on_cpu_ns - before.on_cpu_ns, "{row:#}");
        assert_eq!(counter(row, "run_queue_ns"), after.run_queue_ns - before.run_queue_ns, "{row:#}");
        assert_eq!(counter(row, "voluntary_switches"), after.voluntary - before.voluntary, "{row:#}");
        assert_eq!(counter(row, "preempted_switches"), after.preempted - before.preempted, "{row:#}");
    }

    /// Panics unless all samples of it are true, and as many as it worked for.
    fn assert_whole(&self, recording: &Recording) {
        let samples = recording.samples_of(self.tgid());
        let (whole, cut): (Vec<_>, Vec<_>) =
            samples.into_iter().partition(|sample| !sample.functions().is_empty());
        for sample in &whole {
            self.truth.assert_explains(sample);
        }
        // Where it is stopped it may be in the kernel only.
        assert!(total(&cut) <= 2, "{cut:#?}");
        let expected = WORK_MS * RATE_HZ / 1000;
        assert!(total(&whole) * 4 > expected * 3, "{} samples of {expected}", total(&whole));
    }
}

/// A hostile process, and what is said to be missing of it, if anything.
struct Hostile {
    workload: Workload,
    missing: Option<&'static str>,
}

/// Shows hostile processes and honest ones to each verb.
fn beside(hostile: &[Hostile]) {
    let neighbour = Neighbour::new();
    let pids = hostile.iter().map(|process| process.workload.pid());
    let targets = pids.chain([neighbour.workload.pid()]).collect::<Vec<_>>().join(",");
    finds(&neighbour);
    let notes =
        [counts(&neighbour, &targets), records(&neighbour, &targets), dumps(&neighbour, &targets)].concat();
    for Hostile { workload, missing } in hostile {
        let start = format!("process {} ", workload.tgid());
        let said: Vec<_> = notes.iter().filter(|note| note.starts_with(&start)).collect();
        let is_said = |missing: &str| said.iter().any(|said| said.ends_with(missing));
        assert!(missing.is_none_or(is_said), "{start}{missing:?}: {said:?}");
    }
}

/// `ps` and `doctor`, which look at all there is.
fn finds(neighbour: &Neighbour) {
    let ended = Bounded::start(&["ps", "--json"]).end();
    ended.assert_in_time(Duration::ZERO);
    let document: Value = serde_json::from_str(&ended.out).expect("it is JSON");
    let rows = |fleet: &Value| fleet["workers"].as_array().expect("workers").clone();
    let mut fleets = document["fleets"].as_array().expect("fleets").iter().map(rows);
    let fleet = fleets.find(|rows| rows.iter().any(|row| row["tgid"] == neighbour.server.tgid()));
    let fleet = fleet.unwrap_or_else(|| panic!("no {}: {}", neighbour.server.tgid(), ended.out));
    let workers: Vec<_> =
        fleet.iter().filter(|row| row["role"] == "worker").map(|row| &row["tgid"]).collect();
    assert_eq!(serde_json::json!(workers), neighbour.workers);
    assert!(fleet.iter().all(|row| row["python"].is_string()), "{fleet:#?}");
    let ended = Bounded::start(&["doctor"]).end();
    ended.assert_in_time(Duration::ZERO);
    assert!(ended.out.contains("kernel"), "{}", ended.out);
}

fn notes(document: &Value) -> Vec<String> {
    let notes = document["quality"]["notes"].as_array().expect("notes").iter();
    notes.map(|note| note.as_str().expect("a sentence").to_owned()).collect()
}

fn counts(neighbour: &Neighbour, targets: &str) -> Vec<String> {
    let before = neighbour.books();
    let run = Bounded::start(&["stat", "--json", "-d", "300", "-i", "1", "-p", targets]);
    // The first interval is over, so the window has begun.
    wait_for("an interval", || run.out().contains('\n'));
    let ended = neighbour.work(run);
    let last = ended.out.lines().last().expect("it speaks");
    let document = serde_json::from_str(last).expect("each line is JSON");
    neighbour.assert_exact(&document, before);
    notes(&document)
}

fn records(neighbour: &Neighbour, targets: &str) -> Vec<String> {
    let before = neighbour.books();
    let rate = RATE_HZ.to_string();
    let outputs = ["-o", "all.punch", "-o", "all.folded"];
    let words = [&["-r", &rate, "-n", "-p", targets][..], &outputs].concat();
    let ended = neighbour.work(sampling(&words));
    let recording = Recording::read(&ended.path("all.punch"));
    neighbour.assert_exact(recording.stat(), before);
    neighbour.assert_whole(&recording);
    assert_does_not_act(&fs::read_to_string(ended.path("all.folded")).expect("it is written"));
    notes(recording.stat())
}

/// A `record` with these words, whose window has begun and ends when it is interrupted.
fn sampling(words: &[&str]) -> Bounded {
    let run = Bounded::start(&[&["record", "-d", "300"], words].concat());
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    wait_for("the sampling clocks", || Attached::to(run.tgid()).clocks() >= cpus);
    run
}

fn dumps(neighbour: &Neighbour, targets: &str) -> Vec<String> {
    neighbour.workload.signal(libc::SIGCONT);
    let ended = Bounded::start(&["dump", "--json", "-p", targets]).end();
    neighbour.workload.stop();
    ended.assert_in_time(Duration::ZERO);
    let dump: Value = serde_json::from_str(&ended.out).expect("it is JSON");
    let threads = worker(&dump, neighbour.tgid())["threads"].as_array().expect("threads");
    let [thread] = threads.as_slice() else { panic!("one thread: {threads:#?}") };
    let text = |frame: &Value, key: &str| frame[key].as_str().unwrap_or_default().to_owned();
    let frames = thread["frames"].as_array().expect("frames").iter().rev().map(|frame| Frame {
        kind: text(frame, "kind"),
        name: text(frame, "name"),
        file: text(frame, "file"),
        line: frame["line"].as_u64().unwrap_or(0),
        ..Frame::default()
    });
    let sample = Sample { tgid: neighbour.tgid(), tid: neighbour.tgid(), count: 1, frames: frames.collect() };
    neighbour.truth.assert_explains(&sample);
    notes(&dump)
}

/// What is read of a process, from what is made up.
#[test]
fn made_up_interpreters() {
    let mallory = Mallory::with_workloads();
    let program = mallory.compile("boundless.c", "python3.14", &["-rdynamic", "-ldl", "-lpthread"]);
    let as_library = ["-DMINOR=15", "-shared", "-fPIC", "-Wl,-Bsymbolic", "-lpthread"];
    let library = mallory.compile("boundless.c", "libpython3.15.so", &as_library).display().to_string();
    let more = Some("has more threads, tasks, stacks, lines or code than are kept: some are missing");
    let run = |words: &[&str], missing| Hostile { workload: mallory.run(&program, words), missing };
    let mut hostile = vec![
        Hostile { workload: mallory.python("long_tables.py", &[]), missing: more },
        run(&["tasks"], None),
        run(&["threads"], None),
        run(&["slots", &library], None),
    ];
    hostile.extend((0..MANY).map(|_| run(&["awaits"], more)));
    beside(&hostile);
}

/// Files that are not what they were, or that are more than there is room or time for.
#[test]
fn files() {
    let mallory = Mallory::with_workloads();
    let shifting = mallory.compile("shifting_file.c", "python-shifting", &["-lpthread"]);
    let vast = mallory.compile("vast_image.c", "python-vast", &[]);
    let start = |program: &Path, kind: &str| {
        let path = mallory.folder().join(format!("libpython-{kind}.so")).display().to_string();
        Hostile { workload: mallory.run(program, &[kind, &path]), missing: None }
    };
    let mut hostile: Vec<_> = ["fifo", "cut", "vast"].map(|kind| start(&shifting, kind)).into();
    hostile.extend(["holes", "symbols", "jumps"].map(|kind| start(&vast, kind)));
    beside(&hostile);
}

/// Lists in `/proc` whose lines are long.
#[test]
fn long_lines() {
    let mallory = Mallory::with_workloads();
    let program = mallory.compile("long_lines.c", "python3.12", &[]);
    let folder = mallory.folder().display().to_string();
    let hostile = ["mounts", "mappings"].map(|kind| mallory.run(&program, &[kind, &folder]));
    beside(&hostile.map(|workload| Hostile { workload, missing: None }));
}

/// Names that act, code that has none, and processes, threads and waits without end.
#[test]
fn names_code_and_lives() {
    let mallory = Mallory::with_workloads();
    let folder = mallory.folder().display().to_string();
    let boundless = mallory.compile("boundless.c", "boundless", &["-rdynamic", "-ldl", "-lpthread"]);
    let children = mallory.compile("many_children.c", "many_children", &[]);
    let hostile = [
        mallory.python("acting_names.py", &[&folder]),
        mallory.python("odd_names.py", &[&folder]),
        mallory.python("forks_on.py", &[]),
        mallory.python("many_waits.py", &["200", "8"]),
        mallory.run(&boundless, &["code"]),
        mallory.run(&boundless, &["code"]),
        mallory.run(&children, &["200"]),
    ];
    let maps = hostile.each_ref().map(|workload| format!("/tmp/perf-{}.map", workload.tgid()));
    beside(&hostile.map(|workload| Hostile { workload, missing: None }));
    for map in maps {
        // Most have none.
        let _ = fs::remove_file(map);
    }
}

/// Stacks without end, of which few may be kept: they are counted, and the honest one has its own.
#[test]
fn stacks_without_end() {
    let (neighbour, mallory) = (Neighbour::new(), Mallory::with_workloads());
    let record = |targets: &str| {
        let words = ["--max-memory", "16M", "-r", "499", "-o", "all.punch", "-p", targets];
        neighbour.work(sampling(&words))
    };
    let alone = record(&neighbour.workload.pid());
    let hostile = mallory.python("many_stacks.py", &[]);
    let both = record(&format!("{},{}", hostile.tgid(), neighbour.tgid()));
    // Twice as much again for the kernel's table of stacks, while it is read.
    assert!(both.rss_kib < alone.rss_kib + (48 << 10), "{} KiB, {} without", both.rss_kib, alone.rss_kib);
    let recording = Recording::read(&both.path("all.punch"));
    neighbour.assert_whole(&recording);
    let lost = &recording.stat()["quality"]["lost"];
    assert!(lost["stack_not_kept"].as_u64().is_some_and(|count| count > 0), "{lost}");
    let note = format!("process {} has more threads, tasks, stacks", hostile.tgid());
    assert!(notes(recording.stat()).iter().any(|said| said.starts_with(&note)), "{}", both.out);
}

/// A page that never comes, from a file system that root, or who has a user namespace, may serve.
#[test]
fn a_page_that_never_comes() {
    let Some(python) = required(12) else { return };
    if !Path::new("/dev/fuse").exists() {
        return cannot_run("there is no /dev/fuse");
    }
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let folder = folder.path().display().to_string();
    let mut server = Workload::python(&python.path, "never_answers.py", &[&folder]);
    let _ = server.json();
    beside(&[Hostile { workload: server, missing: None }]);
}

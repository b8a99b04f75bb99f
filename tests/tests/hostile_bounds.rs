//! Programs whose threads, tasks, tables, mappings or code have no end: each verb ends soon beside them, stays small, and
//! shows an honest neighbour whole.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use profiler_tests::{
    interpreters::{Interpreter, required},
    punchclock::punchclock,
    recording::{Recording, Sample},
    wait_for,
    workload::{Workload, bound_to_us},
    workloads,
};

/// Most CPU time that a verb may take for its window and what comes before and behind it, s.
const MAX_CPU_S: i64 = 8;
/// Most memory that it may have, KiB.
const MAX_RSS_KIB: i64 = 256 << 10;

/// The program that has no end, compiled into a folder, and the library that it can run instead.
fn compile(folder: &Path) -> (PathBuf, PathBuf) {
    let (program, library) = (folder.join("python3.14"), folder.join("libpython3.15.so"));
    let as_library = ["-DMINOR=15", "-shared", "-fPIC", "-Wl,-Bsymbolic"];
    for (output, arguments) in [(&program, &["-rdynamic"][..]), (&library, &as_library)] {
        let mut compiler = Command::new("cc");
        compiler
            .args(["-O1", "-w"])
            .args(arguments)
            .arg("-o")
            .arg(output)
            .arg(workloads().join("boundless.c"));
        let output = compiler.args(["-ldl", "-lpthread"]).output().expect("there is a compiler");
        assert!(output.status.success(), "{compiler:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    (program, library)
}

/// Runs punchclock in a folder to a good end, within its time and memory; what it printed, what it said, and the memory that
/// it had, KiB.
#[expect(
    unsafe_code,
    clippy::zombie_processes,
    reason = "std tells no use of resources; wait4 does, and waits"
)]
fn bounded(folder: &Path, arguments: &[&str]) -> (String, String, i64) {
    let file = |name: &str| fs::File::create(folder.join(name)).expect("there is room for a file");
    let mut command = punchclock(arguments);
    command.current_dir(folder).stdout(Stdio::from(file("out"))).stderr(Stdio::from(file("err")));
    let child = bound_to_us(&mut command).spawn().expect("punchclock is built: cargo xtask test");
    let mut status = 0;
    // SAFETY: all zeroes are a value of it.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    wait_for(&format!("the end of {arguments:?}"), || {
        // SAFETY: both take a value of ours.
        let ended =
            unsafe { libc::wait4(child.id().cast_signed(), &raw mut status, libc::WNOHANG, &raw mut used) };
        ended != 0
    });
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("it writes UTF-8");
    let (out, err) = (read("out"), read("err"));
    assert!(ExitStatus::from_raw(status).success(), "{arguments:?}: {status:x}: {err}");
    let cpu_ms = [used.ru_utime, used.ru_stime].map(|time| time.tv_sec * 1000 + time.tv_usec / 1000);
    let cpu_ms = cpu_ms[0] + cpu_ms[1];
    println!("{arguments:?}: {cpu_ms} ms, {} KiB", used.ru_maxrss);
    assert!(cpu_ms < MAX_CPU_S * 1000, "{arguments:?} took {cpu_ms} ms of a CPU");
    assert!(used.ru_maxrss < MAX_RSS_KIB, "{arguments:?} had {} KiB", used.ru_maxrss);
    (out, err, used.ru_maxrss)
}

fn functions(samples: &[Sample]) -> Vec<&str> {
    let mut functions: Vec<_> = samples.iter().flat_map(Sample::functions).collect();
    functions.sort_unstable();
    functions.dedup();
    functions
}

/// Shows such a process and an honest one to each verb; what `record` and `dump` said.
fn beside_a_neighbour(hostile: &Workload, python: &Interpreter) -> String {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let neighbour = Workload::python(&python.path, "collides.py", &["victim"]);
    let both = format!("{},{}", hostile.tgid(), neighbour.tgid());
    let (stat, ..) = bounded(folder.path(), &["stat", "--json", "-d", "0.5", "-p", &both]);
    let stat: serde_json::Value = serde_json::from_str(&stat).expect("it is JSON");
    let row = profiler_tests::punchclock::worker(&stat, neighbour.tgid());
    assert!(row["on_cpu_ns"].as_u64().is_some_and(|ns| ns > 0), "{row:#}");
    let (_, said, _) =
        bounded(folder.path(), &["record", "-o", "all.punch", "-r", "499", "-d", "3", "-p", &both]);
    let recording = Recording::read(&folder.path().join("all.punch"));
    assert_eq!(functions(&recording.samples_of(neighbour.tgid())), ["<module>", "burn", "victim_work"]);
    let (dump, told, _) = bounded(folder.path(), &["dump", "-p", &both]);
    assert!(dump.contains("victim_work"), "{dump}");
    format!("{said}{told}{dump}")
}

#[test]
fn what_a_made_up_interpreter_shows_has_an_end() {
    let Some(python) = required(12) else { return };
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let (program, library) = compile(folder.path());
    for kind in ["tasks", "awaits", "threads", "slots"] {
        let mut command = Command::new(&program);
        command.arg(kind).args((kind == "slots").then_some(&library));
        let hostile = Workload::start(command);
        let said = beside_a_neighbour(&hostile, &python);
        let missing = format!(
            "process {} has more threads, tasks, stacks, lines or code than are kept",
            hostile.tgid()
        );
        // The others end before anything is used up, on a machine that has time.
        assert!(kind != "awaits" || said.contains(&missing), "{said}");
    }
}

#[test]
fn code_of_no_file_has_an_end() {
    let Some(python) = required(12) else { return };
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let (program, _) = compile(folder.path());
    let mut command = Command::new(&program);
    command.arg("code");
    let hostile = Workload::start(command);
    beside_a_neighbour(&hostile, &python);
    let _ = fs::remove_file(format!("/tmp/perf-{}.map", hostile.tgid()));
}

#[test]
fn long_line_tables_have_an_end() {
    let Some(python) = required(12) else { return };
    let hostile = Workload::python(&python.path, "long_tables.py", &[]);
    let said = beside_a_neighbour(&hostile, &python);
    assert!(said.contains(&format!("process {} has more threads", hostile.tgid())), "{said}");
}

#[test]
fn stacks_without_end_take_no_more_than_they_may() {
    let Some(python) = required(12) else { return };
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let neighbour = Workload::python(&python.path, "collides.py", &["victim"]);
    let record = |pids: &str| {
        let words = ["record", "--max-memory", "16M", "-o", "all.punch", "-r", "499", "-d", "3", "-p", pids];
        bounded(folder.path(), &words)
    };
    let (.., alone_kib) = record(&neighbour.tgid().to_string());
    let hostile = Workload::python(&python.path, "many_stacks.py", &[]);
    let (told, _, both_kib) = record(&format!("{},{}", hostile.tgid(), neighbour.tgid()));
    // Twice as much again for the kernel's table of stacks, while that is read.
    assert!(both_kib < alone_kib + (48 << 10), "{both_kib} KiB, and {alone_kib} KiB without it");
    assert!(told.contains(&format!("process {} has more threads", hostile.tgid())), "{told}");
    assert!(told.contains("not described (--max-memory)"), "{told}");
    let recording = Recording::read(&folder.path().join("all.punch"));
    assert_eq!(functions(&recording.samples_of(neighbour.tgid())), ["<module>", "burn", "victim_work"]);
    assert!(functions(&recording.samples_of(hostile.tgid())).contains(&"left"));
}

#[test]
fn doctor_ends_beside_it() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let (program, library) = compile(folder.path());
    let kinds = [("threads", None), ("slots", Some(&library))];
    let hostile = kinds.map(|(kind, library)| {
        let mut command = Command::new(&program);
        command.arg(kind).args(library);
        Workload::start(command)
    });
    let (found, ..) = bounded(folder.path(), &["doctor"]);
    assert!(found.contains("kernel"), "{found}");
    drop(hostile);
}

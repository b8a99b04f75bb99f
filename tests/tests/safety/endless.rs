//! Whatever goes on without end beside it, punchclock begins, ends, and hears who wants it to stop.

use std::{
    fs,
    io::{PipeWriter, Write as _, pipe},
    os::fd::AsRawFd as _,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use profiler_tests::{
    interpreters::supported,
    punchclock::{parse, punchclock, under, worker, workers},
    wait_for,
    workload::{Workload, bound_to_us, signal},
    workloads,
};

/// A verb's window, and how long it may take to begin, to end and to write, s.
const WINDOW: &str = "0.5";
const AROUND: Duration = Duration::from_secs(10);
/// Processes that a recording has room for.
const PROCESSES: usize = 4096;
/// Files that may be open, and libraries that a program has.
const FILES: u32 = 256;
const LIBRARIES: u32 = 300;

/// Starts it with these arguments; it goes when we go.
fn start(arguments: &[&str], stdout: Stdio) -> Child {
    let mut command = punchclock(arguments);
    bound_to_us(&mut command).stdout(stdout).stderr(Stdio::piped());
    command.spawn().expect("punchclock is built: cargo xtask test")
}

/// Runs it to its end, which must come in time.
fn ends(arguments: &[&str]) -> Output {
    let began = Instant::now();
    let child = start(arguments, Stdio::piped());
    let output = child.wait_with_output().expect("it is our child");
    assert!(began.elapsed() < AROUND, "{arguments:?} took {:?}", began.elapsed());
    output
}

#[test]
fn a_worker_that_forks_all_the_time_is_watched() {
    let python = supported().pop().expect("there is a Python");
    let workload = Workload::python(&python.path, "forks_on.py", &[]);
    let document = parse(&ends(&["stat", "--json", "-d", WINDOW, "-p", &workload.pid()]));
    assert!(worker(&document, workload.tgid())["on_cpu_ns"].as_u64() > Some(0), "{document:#}");
    assert!(workers(&document).len() > 20, "{} processes", workers(&document).len());
}

/// A pipe that holds as much as it can, so that whoever writes to it waits.
fn full_pipe() -> (std::io::PipeReader, PipeWriter) {
    const PAGE: i32 = 4096;
    let (reader, mut writer) = pipe().expect("there is room for a pipe");
    // SAFETY: no memory is passed.
    #[expect(unsafe_code, reason = "std does not size pipes")]
    let bytes = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, PAGE) };
    writer.write_all(&vec![b' '; bytes.try_into().expect("a size")]).expect("it has room");
    (reader, writer)
}

fn status(tgid: u32, word: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{tgid}/status")).expect("it lives");
    let value = status.lines().find_map(|line| line.strip_prefix(word));
    value.expect("the kernel says so").trim_start_matches(':').trim().to_owned()
}

/// Waits until it catches SIGINT.
fn wait_until_it_hears(tgid: u32) {
    wait_for("it to catch SIGINT", || {
        let caught = u64::from_str_radix(&status(tgid, "SigCgt"), 16).expect("a number");
        caught & 1 << (libc::SIGINT - 1) != 0
    });
}

#[test]
fn the_first_signal_ends_the_window_and_the_second_ends_at_once() {
    let python = supported().pop().expect("there is a Python");
    let workload = Workload::python(&python.path, "forks_on.py", &[]);
    let (reader, writer) = full_pipe();
    let mut child = start(&["stat", "--json", "-d", "600", "-p", &workload.pid()], writer.into());
    wait_until_it_hears(child.id());
    signal(child.id(), libc::SIGINT);
    let writes = format!("{} 0x1 ", libc::SYS_write);
    wait_for("it to write", || {
        fs::read_to_string(format!("/proc/{}/syscall", child.id()))
            .is_ok_and(|call| call.starts_with(&writes))
    });
    signal(child.id(), libc::SIGINT);
    wait_for("its end", || child.try_wait().expect("it is our child").is_some());
    assert_eq!(child.wait().expect("it is our child").code(), Some(128 + libc::SIGINT));
    drop(reader);
}

fn compile(output: &Path, source: &str, arguments: &[&str]) {
    let mut compiler = Command::new("cc");
    compiler.arg("-o").arg(output).arg(workloads().join(source)).args(arguments);
    assert!(compiler.status().expect("there is a compiler").success(), "{compiler:?}");
}

/// More of them than files can be open, whatever we raise: some are without names, and everything else is there.
#[test]
fn libraries_without_end_are_recorded() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let (program, library) = (folder.path().join("many_libraries"), folder.path().join("0.so"));
    compile(&program, "many_libraries.c", &["-ldl"]);
    compile(&library, "many_libraries.c", &["-DLIBRARY", "-shared", "-fPIC"]);
    for number in 1..LIBRARIES {
        fs::copy(&library, folder.path().join(format!("{number}.so"))).expect("there is room");
    }
    let mut command = Command::new(&program);
    command.arg(folder.path()).arg(LIBRARIES.to_string());
    let workload = Workload::start(command);
    let folded = folder.path().join("out.folded");
    let limit = format!("--nofile={FILES}:{FILES}");
    let output = folded.to_str().expect("UTF-8");
    let arguments = ["record", "--native", "-r", "999", "-d", "2", "-o", output, "-p", &workload.pid()];
    let ended = under(&["prlimit", &limit], &arguments).output().expect("prlimit runs");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(said.contains("files has no names: the limit of open files allows no more"), "{said}");
    let stacks = fs::read_to_string(&folded).expect("it is written");
    assert!(stacks.contains("turn"), "{stacks}");
}

#[test]
fn processes_that_there_is_no_room_for_are_counted() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let program = folder.path().join("many_children");
    compile(&program, "many_children.c", &[]);
    let mut command = Command::new(&program);
    let children = PROCESSES + 100;
    command.arg(children.to_string());
    let workload = Workload::start(command);
    let output = folder.path().join("all.punch");
    let path = output.to_str().expect("UTF-8");
    let document =
        parse(&ends(&["record", "--json", "-r", "99", "-d", WINDOW, "-o", path, "-p", &workload.pid()]));
    assert_eq!(document["quality"]["lost"]["processes_full"], children + 1 - PROCESSES, "{document:#}");
    assert_eq!(workers(&document).len(), PROCESSES);
}

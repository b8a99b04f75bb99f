//! SIGKILL at any instant of any verb leaves no program, map, link, file or process behind.

use std::{
    collections::BTreeSet,
    env, fs,
    hash::{BuildHasher as _, RandomState},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use profiler_tests::{
    attached::{LOOK_ON, ids},
    gunicorn::venv,
    punchclock::punchclock,
    truth::busy,
    wait_for,
    workload::bound_to_us,
    workloads,
};
use tempfile::TempDir;

/// Instants of a verb: as many as CI has time for, or, by `PUNCHCLOCK_INSTANTS`, as somebody asks for.
const INSTANTS: u32 = 10;

fn instants() -> u32 {
    let asked = env::var("PUNCHCLOCK_INSTANTS").ok();
    asked.map_or(INSTANTS, |asked| asked.parse().expect("PUNCHCLOCK_INSTANTS is a number"))
}

/// All programs, maps and links that the kernel has.
fn objects() -> BTreeSet<(libc::c_int, u32)> {
    LOOK_ON.into_iter().flat_map(|command| ids(command).into_iter().map(move |id| (command, id))).collect()
}

/// A part of a time, any.
fn any_part(of: Duration) -> Duration {
    of.mul_f64(RandomState::new().hash_one(()) as f64 / u64::MAX as f64)
}

/// A verb, to be run in a folder in which it may leave its files, temporary ones too.
fn verb(arguments: &[&str], folder: &TempDir) -> Command {
    let mut command = punchclock(arguments);
    command.current_dir(folder.path()).env("TMPDIR", folder.path());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    bound_to_us(&mut command);
    command
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("it is there"));
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The processes, besides us, that were started by us, or by others that are gone by now.
fn descendants() -> Vec<u32> {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc is there").flatten();
    let children = tasks.flat_map(|task| {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.split_whitespace().map(|tgid| tgid.parse().expect("a PID")).collect::<Vec<u32>>()
    });
    children.collect()
}

/// Collects the children that have ended.
#[expect(unsafe_code, reason = "std waits for no child of another")]
fn collect() {
    // SAFETY: no memory is passed.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
}

/// Has what a killed process leaves become ours, or not any more: other tests in this program want no orphans.
fn adopt_orphans(adopts: bool) {
    // SAFETY: no memory is passed.
    #[expect(unsafe_code, reason = "std has no prctl")]
    let result = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, libc::c_ulong::from(adopts)) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Runs a verb once to its end, and then kills it again and again.
fn kill_at_any_instant(arguments: &[&str], instants: u32) {
    adopt_orphans(true);
    let (objects_before, ours) = (objects(), descendants());
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let began = Instant::now();
    let whole = verb(arguments, &folder).status().expect("punchclock is built: cargo xtask test");
    assert!(whole.success(), "{arguments:?}: {whole}");
    let length = began.elapsed();
    for number in 1..=instants {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let mut child = verb(arguments, &folder).spawn().expect("it was started before");
        let instant = any_part(length);
        // The instant is what is tried, and no condition.
        std::thread::sleep(instant);
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
        let when = format!("{arguments:?}, killed after {instant:?} (number {number})");
        wait_for(&format!("no process to be left: {when}"), || {
            collect();
            descendants() == ours
        });
        // Those of an earlier test may be on their way out, so fewer are as good.
        wait_for(&format!("nothing to be left in the kernel: {when}"), || {
            objects().is_subset(&objects_before)
        });
        let left = files(folder.path());
        // One that had ended has left its output.
        assert!(left.iter().all(|name| name.starts_with("out.")), "{when}: {left:?}");
    }
    adopt_orphans(false);
}

#[test]
fn verbs_that_look_once() {
    let (workload, _) = busy();
    kill_at_any_instant(&["ps"], instants());
    kill_at_any_instant(&["doctor"], instants());
    kill_at_any_instant(&["dump", "-p", &workload.pid()], instants());
}

#[test]
fn verbs_with_a_window() {
    let (workload, _) = busy();
    let window = ["-d", "0.2", "-p", &workload.pid()];
    kill_at_any_instant(&[&["stat"], &window[..]].concat(), instants());
    kill_at_any_instant(&[&["record", "-o", "out.svg", "-o", "out.punch"], &window[..]].concat(), instants());
}

#[test]
fn an_audit_and_its_servers() {
    // It takes ten times as long as the others.
    let (python, script) = (venv().join("bin/python"), workloads().join("errors.py"));
    let template = format!(
        "{} -m gunicorn --chdir {} -w {{workers}} -b 127.0.0.1:{{port}} wsgi_app:application",
        python.display(),
        script.parent().expect("a folder").display()
    );
    let load = [
        "--concurrency",
        "1",
        "--rounds",
        "1",
        "--warm-up",
        "0.1",
        "--idle",
        "0.2",
        "-d",
        "0.4",
        "--workers",
        "1",
    ];
    kill_at_any_instant(
        &[&["audit", "-o", "out.json", "--serve", &template], &load[..]].concat(),
        instants() / 2,
    );
}

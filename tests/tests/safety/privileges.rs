//! What punchclock may do once it looks at others, and what it does for who called `sudo`.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
    path::Path,
    process::{Output, Stdio},
};

use profiler_tests::{
    punchclock::{counter, parse, punchclock, worker},
    record::Record,
    recording::{Sample, total},
    truth::busy,
    wait_for,
    workload::bound_to_us,
};
use tempfile::TempDir;

/// The user and the group of that name, on Debian.
const NOBODY: u32 = 65534;

/// `CAP_DAC_READ_SEARCH`, `CAP_SYS_PTRACE`, `CAP_SYSLOG` and `CAP_CHECKPOINT_RESTORE`.
const READS: u64 = 1 << 2 | 1 << 19 | 1 << 34 | 1 << 40;
/// `CAP_BPF`, which old kernels want of who reads a map.
const BPF: u64 = 1 << 39;

/// A line of each thread's status.
fn of_threads(tgid: u32, key: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{tgid}/task")).into_iter().flatten().flatten();
    let statuses = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    let value =
        |status: String| Some(status.lines().find_map(|line| line.strip_prefix(key))?.trim().to_owned());
    statuses.filter_map(value).collect()
}

/// `Seccomp` in the status of a thread that has a filter of system calls.
const FILTERED: &str = "2";

/// Waits until a process has given up what it does not read with, and looks whether it has.
fn assert_can_only_read(tgid: u32) {
    wait_for("no new privileges", || {
        let said = of_threads(tgid, "NoNewPrivs:");
        !said.is_empty() && said.iter().all(|said| said == "1")
    });
    wait_for("a filter of system calls", || {
        let said = of_threads(tgid, "Seccomp:");
        !said.is_empty() && said.iter().all(|said| said == FILTERED)
    });
    for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
        wait_for(set, || {
            let masks = of_threads(tgid, set);
            let masks = masks.iter().map(|mask| u64::from_str_radix(mask, 16).expect("a mask"));
            masks.fold(0, |all, mask| all | mask) & !(READS | BPF) == 0
        });
    }
}

#[test]
fn a_recording_is_made_with_what_reads_alone_and_is_whole() {
    let (workload, truth) = busy();
    let record =
        Record::start(&[workload.tgid()], &["-r", "499", "--native", "--kernel", "-o", "out.folded"]);
    assert_can_only_read(record.pid());
    let recorded = record.end_after(&[workload.tgid()], 300);
    let samples = recorded.recording.samples_of(workload.tgid());
    let is_whole = |sample: &&Sample| sample.functions().starts_with(&truth.names()[..1]);
    let whole: u64 = samples.iter().filter(is_whole).map(|sample| sample.count).sum();
    assert!(whole * 100 >= total(&samples) * 95, "{whole} of {}", total(&samples));
    let named = recorded.folded("out.folded");
    assert!(named.iter().any(|(stack, _)| stack.iter().any(|frame| frame.contains("python"))), "{named:?}");
}

#[test]
fn exact_numbers_are_read_with_no_more() {
    let (workload, _) = busy();
    let mut command = punchclock(&["stat", "--json", "-d", "2", "-p", &workload.pid()]);
    let child =
        bound_to_us(command.stdout(Stdio::piped()).stderr(Stdio::piped())).spawn().expect("it is built");
    assert_can_only_read(child.id());
    let stat = parse(&child.wait_with_output().expect("it is our child"));
    assert!(counter(worker(&stat, workload.tgid()), "on_cpu_ns") > 0);
    assert_eq!(
        stat["quality"]["losses"].as_object().map_or(0, |losses| losses.values().filter(|n| *n != 0).count()),
        0
    );
}

/// A folder of `nobody`'s, who calls `sudo punchclock` there.
struct Sudo(TempDir);

impl Sudo {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("these tests run as root");
        Self(folder)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = punchclock(arguments);
        command.envs([("SUDO_UID", "65534"), ("SUDO_GID", "65534"), ("SUDO_USER", "nobody")]);
        command.current_dir(self.0.path()).output().expect("punchclock is built")
    }

    /// Records what tells who it is; that.
    fn who(&self, arguments: &[&str]) -> String {
        let script = "id -u; id -G; sed -n 's/^CapEff:\\t//p' /proc/self/status";
        let command = ["--", "sh", "-c", &format!("({script}) >&2")].map(str::to_owned);
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let output = self.run(&[&["record", "-o", "all.punch"], arguments, &command].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said.lines().take(3).collect::<Vec<_>>().join(" ")
    }
}

/// Who owns a file, and its mode.
fn owner(path: &Path) -> (u32, u32) {
    let about = fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (about.uid(), about.mode() & 0o777)
}

#[test]
fn a_command_runs_as_who_called_sudo_and_what_is_written_is_his() {
    let sudo = Sudo::new();
    assert_eq!(sudo.who(&[]), "65534 65534 0000000000000000");
    assert_eq!(owner(&sudo.0.path().join("all.punch")), (NOBODY, 0o600));
    assert!(sudo.who(&["--as-root"]).starts_with("0 "));
}

#[test]
fn what_is_not_his_to_write_stays_root_s() {
    let (sudo, roots) = (Sudo::new(), tempfile::tempdir().expect("there is room for a folder"));
    fs::set_permissions(roots.path(), Permissions::from_mode(0o755)).expect("it is ours");
    let there = roots.path().join("there.svg");
    fs::write(&there, "root's").expect("it is ours");
    let output = |path: &Path| sudo.run(&["record", "-o", &path.display().to_string(), "--", "true"]);
    assert!(output(&there).status.success());
    assert_eq!(owner(&there).0, 0);
    assert_ne!(fs::read(&there).expect("it is ours"), b"root's");

    fs::write(&there, "root's").expect("it is ours");
    symlink(&there, sudo.0.path().join("link.svg")).expect("it is new");
    let refused = output(Path::new("link.svg"));
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("permission denied"));
    assert_eq!(fs::read(&there).expect("it is ours"), b"root's");
}

#[test]
fn where_only_root_may_write_anywhere_it_is_written() {
    let folder = Sudo::new().0;
    let mut command = punchclock(&["record", "-o", "out.svg", "--", "true"]);
    let output = command.current_dir(folder.path()).output().expect("punchclock is built");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(owner(&folder.path().join("out.svg")).0, 0);
}

//! Processes that their own user may not look at, that run no file with a name, or in a user namespace.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
    process::Command,
};

use profiler_tests::{
    interpreters::{Interpreter, debian, supported},
    late::prefix_and_library,
    record::Record,
    recording::total,
    truth::Truth,
    workload::Workload,
};

/// The user and the group of that name, on Debian.
const NOBODY: u32 = 65534;

/// One of each way in which an interpreter is found and walked.
const MINORS: [u32; 4] = [6, 10, 11, 15];

/// A way to be guarded.
struct Guard {
    /// How it is started; `None` if that does not apply. What it needs it makes in the folder.
    command: fn(&Interpreter, &Path) -> Option<Command>,
    /// What the workload does.
    how: &'static str,
    is_dumpable: bool,
    /// Whether `/proc` says that it is so.
    holds: fn(&str) -> bool,
}

const GUARDS: [Guard; 5] = [
    Guard {
        command: |python, _| Some(python.command()),
        how: "not-dumpable",
        is_dumpable: false,
        holds: |of| users(of) == [0, 0],
    },
    Guard {
        command: |python, _| Some(python.command()),
        how: "dropped",
        is_dumpable: false,
        holds: |of| users(of) == [NOBODY, NOBODY],
    },
    Guard { command: setuid, how: "as-it-is", is_dumpable: false, holds: |of| users(of) == [NOBODY, 0] },
    Guard {
        command: unnamed,
        how: "as-it-is",
        is_dumpable: true,
        holds: |of| link(of, "exe").starts_with("/memfd:"),
    },
    Guard {
        command: rootless,
        how: "as-it-is",
        is_dumpable: true,
        holds: |of| link(of, "ns/user") != link("/proc/self", "ns/user"),
    },
];

/// A copy that root owns and everybody may run as root, run by somebody else.
fn setuid(python: &Interpreter, folder: &Path) -> Option<Command> {
    let prefix = python.path.parent()?.parent().filter(|_| python.root.is_none())?;
    let copy = folder.join(format!("python3.{}", python.minor));
    fs::copy(&python.path, &copy).expect("there is room for an interpreter");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755)).expect("it is ours");
    let mut command = Command::new(copy);
    command.env("PYTHONHOME", prefix).uid(NOBODY).gid(NOBODY);
    Some(command)
}

/// The interpreter and its library from files of memory.
fn unnamed(python: &Interpreter, _: &Path) -> Option<Command> {
    let prefix = python.path.parent()?.parent().filter(|_| python.root.is_none())?;
    let library = prefix_and_library(python).map(|(_, library)| library).unwrap_or_default();
    let mut command = debian()?.command();
    // What is in the environment is for what it runs.
    command.arg("-E").arg(debian()?.workloads().join("unnamed.py")).arg(library).arg(&python.path);
    command.env("PYTHONHOME", prefix);
    Some(command)
}

/// In namespaces that a user can have without being root, as containers of theirs are.
fn rootless(python: &Interpreter, _: &Path) -> Option<Command> {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--net", "--uts", "--ipc", "--cgroup"]);
    command.arg(python.root.is_none().then_some(&python.path)?);
    Some(command)
}

/// Its real user and its effective one.
fn users(of: &str) -> [u32; 2] {
    let status = fs::read_to_string(format!("{of}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).expect("its users");
    let mut users = line.split_whitespace().map(|user| user.parse().expect("a user"));
    [(); 2].map(|()| users.next().expect("a user"))
}

fn link(of: &str, name: &str) -> String {
    fs::read_link(format!("{of}/{name}")).expect("it lives").display().to_string()
}

#[test]
fn frames_are_true_whoever_may_not_look() {
    let mut targets = Vec::new();
    let folder = tempfile::tempdir().expect("there is room for a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    for (index, guard) in GUARDS.iter().enumerate() {
        for python in supported().into_iter().filter(|python| MINORS.contains(&python.minor)) {
            let own = folder.path().join(targets.len().to_string());
            fs::create_dir_all(&own).expect("there is room for a folder");
            let Some(mut command) = (guard.command)(&python, &own) else { continue };
            command.arg(python.workloads().join("guarded.py")).arg(guard.how);
            let mut workload = Workload::start(command);
            let truth = Truth::told_by(&mut workload);
            let name = format!("{python:?} guarded the way {index}");
            assert_eq!(workload.line(), u32::from(guard.is_dumpable).to_string(), "{name}");
            assert!((guard.holds)(&format!("/proc/{}", workload.tgid())), "{name}");
            // Until it is recorded it takes nobody's time.
            workload.stop();
            targets.push((workload, truth, name));
        }
    }
    let tgids: Vec<_> = targets.iter().map(|(workload, ..)| workload.tgid()).collect();
    let record = Record::start(&tgids, &["-r", "1999"]);
    for (workload, ..) in &targets {
        workload.signal(libc::SIGCONT);
    }
    let recorded = record.end_after(&tgids, 100);
    for (workload, truth, name) in &targets {
        let samples = recorded.recording.samples_of(workload.tgid());
        let mut whole = 0;
        for sample in samples.iter().filter(|sample| !sample.functions().is_empty()) {
            truth.assert_explains(sample);
            whole += sample.count;
        }
        let all = total(&samples);
        assert!(all > 50 && whole * 100 >= all * 99, "{whole} of {all} samples of {name} are whole");
    }
}

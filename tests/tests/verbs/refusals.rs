//! What cannot be done is told in one sentence, with what helps, before anything is attached.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Output,
};

use profiler_tests::{
    punchclock::{Unprivileged, refusal, run, under},
    truth::busy,
};

/// What these verbs say when they may not do their work.
fn assert_unable(refuse: impl Fn(&[&str]) -> Output, what: &str) {
    let (workload, _) = busy();
    for verb in ["stat", "record"] {
        let (sentence, help) = refusal(&refuse(&[verb, "-d", "1", "-p", &workload.pid()]), 4);
        assert!(sentence.contains(what), "{sentence}");
        assert!(help.is_some_and(|help| !help.is_empty()), "{sentence}");
    }
}

#[test]
fn without_root_nothing_is_measured() {
    let nobody = Unprivileged::copy();
    assert_unable(|arguments| nobody.run(arguments), "CAP_");
    let entries = nobody.folder().read_dir().expect("a folder").count();
    assert_eq!(entries, 1, "no output is left beside the copy");
    // What only looks needs no privileges.
    assert_eq!(nobody.run(&["ps"]).status.code(), Some(0));
    assert_eq!(nobody.run(&["stat", "-p", &u32::MAX.to_string()]).status.code(), Some(3));
}

#[test]
fn without_a_capability_nothing_is_measured() {
    for (dropped, told) in [
        ("--bounding-set=-sys_ptrace", "CAP_SYS_PTRACE"),
        ("--bounding-set=-bpf,-sys_admin", "CAP_BPF"),
        ("--bounding-set=-perfmon,-sys_admin", "CAP_PERFMON"),
    ] {
        let refuse =
            |arguments: &[&str]| under(&["setpriv", dropped], arguments).output().expect("setpriv runs");
        assert_unable(refuse, told);
    }
}

#[test]
fn without_btf_nothing_is_measured() {
    let hide = "mount -t tmpfs tmpfs /sys/kernel/btf && exec \"$@\"";
    let hidden = ["unshare", "--mount", "sh", "-c", hide, "sh"];
    let refuse = |arguments: &[&str]| under(&hidden, arguments).output().expect("unshare runs");
    assert_unable(refuse, "BTF");
}

#[test]
fn in_a_namespace_of_other_pids_nothing_is_measured() {
    // Process 1 of the namespace is this shell.
    let inside = ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", "\"$@\"; exit $?", "sh"];
    for verb in ["stat", "record"] {
        let output = under(&inside, &[verb, "-d", "1", "-p", "1"]).output().expect("unshare runs");
        let (sentence, help) = refusal(&output, 4);
        assert!(sentence.contains("PID namespace") && help.is_some(), "{sentence}");
    }
}

#[test]
fn an_output_that_cannot_be_written_is_told_before_anything_is_attached() {
    let nobody = Unprivileged::copy();
    let folder = tempfile::tempdir().expect("there is room for a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o1777)).expect("it is ours");
    let victim = folder.path().join("victim.svg");
    fs::write(&victim, "old").expect("there is room");
    symlink(&victim, folder.path().join("link.svg")).expect("there is room");
    fs::create_dir(folder.path().join("folder.svg")).expect("there is room");
    let before = folder.path().read_dir().expect("a folder").count();

    let (workload, _) = busy();
    let good = folder.path().join("good.folded").display().to_string();
    for name in ["no/such/folder/out.svg", "folder.svg", "out.txt", "out", "link.svg"] {
        let path = folder.path().join(name).display().to_string();
        let arguments = ["record", "-d", "1", "-p", &workload.pid(), "-o", &good, "-o", &path];
        let (sentence, help) = refusal(&run(&arguments), 1);
        assert!(sentence.contains(&path) && help.is_some(), "{sentence}");
        // Who may attach nothing hears the same: so it is told before.
        let _ = refusal(&nobody.run(&arguments), 1);
    }
    let readonly = "/proc/out.svg";
    assert!(
        refusal(&run(&["record", "-d", "1", "-p", &workload.pid(), "-o", readonly]), 1).0.contains(readonly)
    );
    assert_eq!(fs::read_to_string(victim).expect("it is there"), "old");
    assert_eq!(folder.path().read_dir().expect("a folder").count(), before, "nothing is left");
}

/// The sentence about a file that is no recording, without its name.
#[test]
fn an_access_log_of_several_fleets_is_told() {
    let log = tempfile::NamedTempFile::new().expect("there is room for a file");
    let log = log.path().to_str().expect("a name of letters");
    let workloads = [busy().0, busy().0];
    let pids = [workloads[0].pid(), workloads[1].pid()].join(",");
    let (sentence, _) = refusal(&run(&["record", "-d", "1", "-p", &pids, "--access-log", log]), 2);
    assert!(
        sentence.starts_with("an access log is one fleet's, and these are to be recorded: "),
        "{sentence}"
    );
    assert!(!Path::new("punchclock.punch").exists(), "nothing is left");
}

fn told_of(path: &Path) -> String {
    let svg = path.with_extension("svg").display().to_string();
    let (sentence, _) = refusal(&run(&["report", &path.display().to_string(), "-o", &svg]), 1);
    assert!(!Path::new(&svg).exists(), "nothing is rendered");
    let name = path.display().to_string();
    assert!(sentence.contains(&name), "{sentence}");
    sentence.replace(&name, "")
}

#[test]
fn what_is_no_whole_recording_is_told() {
    let (workload, _) = busy();
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = |name: &str| folder.path().join(name);
    let good = path("good.punch").display().to_string();
    let output = run(&["record", "-d", "0.5", "-p", &workload.pid(), "-o", &good]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let whole = fs::read(&good).expect("it was written");

    let told = |name: &str, bytes: &[u8]| {
        fs::write(path(name), bytes).expect("there is room");
        told_of(&path(name))
    };
    for length in [0, 1, 20, 24, 40, whole.len() / 2, whole.len() - 1] {
        let sentence = told("cut.punch", &whole[..length]);
        assert!(sentence.contains("cut short"), "{length} of {}: {sentence}", whole.len());
    }
    for at in [30, whole.len() / 2, whole.len() - 6] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        let sentence = told("damaged.punch", &bytes);
        // Damage may also look like an early end.
        assert!(sentence.contains("damaged") || sentence.contains("cut short"), "{at}: {sentence}");
    }
    let newer = String::from_utf8_lossy(&whole[..24]).replace("v2", "v3").into_bytes();
    let sentence = told("newer.punch", &[newer.as_slice(), &whole[24..]].concat());
    assert!(sentence.contains("newer") && sentence.contains('3'), "{sentence}");
    for foreign in
        [&b"\x7fELF\x02\x01\x01"[..], b"one;two;three 4\n", b"PERFILE2 and so on and so on and so on"]
    {
        let sentence = told("foreign.punch", foreign);
        assert!(sentence.contains("not a punchclock recording"), "{sentence}");
    }
    let _ = told_of(&path("there-is-none.punch"));
    let _ = told_of(folder.path());
}

//! Disks that fill up and readers that leave.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

use profiler_tests::{
    cannot_run,
    punchclock::{punchclock, run},
    truth::busy,
};

/// A file system of 64 KiB, gone when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(folder.path());
        if !mount.status().is_ok_and(|status| status.success()) {
            cannot_run("no file system can be mounted here");
            return None;
        }
        Some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

#[test]
fn a_full_disk_leaves_the_old_files_whole_and_the_others_written() {
    let Some(disk) = SmallDisk::mount() else { return };
    let (workload, _) = busy();
    let old = ["out.svg", "out.punch"].map(|name| disk.path().join(name));
    for path in &old {
        fs::write(path, "old").expect("there is room");
    }
    // Room for names, not for contents.
    assert!(fs::write(disk.path().join("ballast"), vec![b'x'; 1 << 16]).is_err());
    let elsewhere = tempfile::tempdir().expect("there is room for a folder");
    let good = elsewhere.path().join("out.folded");

    let outputs = [&old[0], &good, &old[1]].map(|path| path.display().to_string());
    let outputs: Vec<_> = outputs.iter().flat_map(|path| ["-o", path]).collect();
    let output = run(&[&["record", "-r", "999", "-d", "1", "-p", &workload.pid()][..], &outputs].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let sentence = stderr.lines().find(|line| line.starts_with("punchclock: ")).expect("a sentence");
    assert!(sentence.contains("no space left") && sentence.contains("out.svg"), "{stderr}");
    for path in &old {
        assert_eq!(fs::read_to_string(path).expect("it is there"), "old");
    }
    assert_eq!(disk.path().read_dir().expect("a folder").count(), 3, "nothing half-written is left");
    assert!(fs::read_to_string(good).is_ok_and(|text| text.contains("consume")), "{stderr}");
}

#[test]
fn numbers_that_cannot_be_written_are_a_failure() {
    let (workload, _) = busy();
    for arguments in [&["stat", "-d", "0.2", "-p", &workload.pid()][..], &["ps", "--json"], &["doctor"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("every Linux has it");
        let mut child =
            punchclock(arguments).stdout(full).stderr(Stdio::piped()).spawn().expect("it is built");
        let mut stderr = String::new();
        let pipe = child.stderr.take().expect("it is piped");
        BufReader::new(pipe).read_line(&mut stderr).expect("it speaks");
        assert_eq!(child.wait().expect("it is our child").code(), Some(1), "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("punchclock: ") && stderr.contains("standard output"), "{stderr}");
    }
}

/// Runs it with a reader of both its outputs that takes one line at most and leaves, as `2>&1 | head -1` does.
fn run_for_a_reader_who_leaves(arguments: &[&str], lines: usize) -> (Option<i32>, String) {
    let (read, write) = pipe();
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let mut command = punchclock(arguments);
    command.current_dir(folder.path()).process_group(0);
    command.stdout(write.try_clone().expect("a descriptor is free")).stderr(write);
    let mut child = command.spawn().expect("punchclock is built: cargo xtask test");
    // The command holds the pipe's other end.
    drop(command);
    let mut reader = BufReader::new(fs::File::from(read));
    let mut said = String::new();
    for _ in 0..lines {
        reader.read_line(&mut said).expect("it speaks");
    }
    drop(reader);
    (child.wait().expect("it is our child").code(), said)
}

fn pipe() -> (OwnedFd, OwnedFd) {
    let (read, write) = std::io::pipe().expect("descriptors are free");
    (read.into(), write.into())
}

#[test]
fn a_reader_who_leaves_is_no_failure() {
    let (workload, _) = busy();
    let pid = workload.pid();
    for arguments in [
        &["ps"][..],
        &["doctor", "--json"],
        &["stat", "-d", "0.5", "-i", "0.1", "-p", &pid],
        &["stat", "-d", "0.5", "-i", "0.1", "-p", &pid, "--json"],
        &["record", "-d", "0.5", "-p", &pid],
        &["record", "-d", "0.5", "-p", &pid, "--json", "-o", "out.svg"],
    ] {
        for lines in [0, 1] {
            let (code, said) = run_for_a_reader_who_leaves(arguments, lines);
            assert_eq!(code, Some(0), "{arguments:?} after {said:?}");
        }
    }
}

#[test]
fn a_failure_that_nobody_reads_keeps_its_exit_code() {
    assert_eq!(run_for_a_reader_who_leaves(&["stat", "no-such-fleet"], 0).0, Some(3));
}

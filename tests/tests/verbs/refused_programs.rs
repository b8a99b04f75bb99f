//! A kernel that refuses a program is told in one sentence, and what can run without it does.
//!
//! No kernel here refuses one of ours, so a copy of punchclock is spoiled: one function of the object that it carries begins
//! with a read that no verifier lets pass.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use profiler_tests::{
    punchclock::{binary, parse, refusal, workers},
    truth::busy,
};
use tempfile::TempDir;

/// `r0 = *(u64 *)(r1 + 0x7fff)`.
const FORBIDDEN: [u8; 8] = [0x79, 0x10, 0xff, 0x7f, 0, 0, 0, 0];
/// An ELF file's beginning (64 bits, little endian), and where it tells its machine: 247 for BPF.
const ELF: &[u8] = b"\x7fELF\x02\x01";
const MACHINE_AT: usize = 18;
const BPF: [u8; 2] = [247, 0];

/// Punchclock with a spoiled function, in a folder of its own.
struct Spoiled(TempDir);

impl Spoiled {
    fn copy(function: &str) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let copy = folder.path().join("punchclock");
        fs::copy(binary(), &copy).expect("punchclock is built: cargo xtask test");
        let mut bytes = fs::read(&copy).expect("it was copied");
        let begins =
            |start: &usize| bytes[*start..].starts_with(ELF) && bytes[start + MACHINE_AT..].starts_with(&BPF);
        let start = (0..bytes.len()).find(begins).expect("it carries an object");
        let object = object::File::parse(&bytes[start..]).expect("an ELF file");
        let symbol = object.symbol_by_name(function).expect("the function");
        let section = symbol.section_index().expect("it is defined");
        let section = object.section_by_index(section).expect("it is there");
        let (in_file, _) = section.file_range().expect("it has contents");
        let at = start + (in_file + symbol.address() - section.address()) as usize;
        bytes[at..at + FORBIDDEN.len()].copy_from_slice(&FORBIDDEN);
        fs::write(&copy, bytes).expect("there is room");
        Self(folder)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.0.path().join("punchclock"));
        command.args(arguments).env("TMPDIR", self.0.path()).output().expect("it runs")
    }

    /// The verifier's logs that it left.
    fn logs(&self) -> Vec<PathBuf> {
        let entries =
            self.0.path().read_dir().expect("a folder").map(|entry| entry.expect("an entry").path());
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect()
    }
}

fn assert_tells_the_kernel_and_the_read(sentence: &str) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("/proc");
    assert!(sentence.contains(release.trim()), "{sentence}");
    assert!(sentence.contains("r0 = *(u64 *)(r1 +32767)"), "{sentence}");
    assert_eq!(sentence.lines().count(), 1, "{sentence}");
}

#[test]
fn without_stacks_there_is_no_recording_but_there_are_numbers() {
    let spoiled = Spoiled::copy("walk_step");
    let (workload, _) = busy();
    let pid = workload.pid();

    let out = spoiled.0.path().join("out.folded").display().to_string();
    let (sentence, help) = refusal(&spoiled.run(&["record", "-d", "1", "-p", &pid, "-o", &out]), 4);
    assert_tells_the_kernel_and_the_read(&sentence);
    let [log] = spoiled.logs().try_into().expect("one log");
    assert!(help.is_some_and(|help| help.contains(&log.display().to_string())), "{sentence}");
    assert!(fs::read_to_string(&log).expect("it was kept").lines().count() > 2);
    assert!(!Path::new(&out).exists(), "nothing is rendered");

    let stat = parse(&spoiled.run(&["stat", "-d", "1", "--json", "-p", &pid]));
    assert_eq!(workers(&stat).len(), 1);
    assert!(workers(&stat)[0]["blocked_by"]["socket"].is_object(), "waits are still told by reason");
    let notes = stat["quality"]["notes"].as_array().expect("notes");
    let note =
        notes.iter().filter_map(|note| note.as_str()).find(|note| note.starts_with("waits have no stacks"));
    assert_tells_the_kernel_and_the_read(note.unwrap_or_else(|| panic!("nothing is said: {notes:?}")));
}

#[test]
fn the_doctor_tells_which_verbs_work() {
    for (function, summary, stat) in [
        ("walk_step", "ps ✓  stat ✓  record ✗  dump ✗  audit ✗", "degraded"),
        ("sample", "ps ✓  stat ✓  record ✗  dump ✗  audit ✗", "ok"),
        ("snapshot", "ps ✓  stat ✗  stat --counters-only ✗  record ✗  dump ✗  audit ✗", "missing"),
        ("sched_waking", "ps ✓  stat ✗  stat --counters-only ✓  record ✗  dump ✗  audit ✗", "missing"),
    ] {
        let spoiled = Spoiled::copy(function);
        let text = spoiled.run(&["doctor"]);
        assert_eq!(text.status.code(), Some(4));
        assert_eq!(String::from_utf8_lossy(&text.stdout).lines().last(), Some(summary), "{function}");
        let json = spoiled.run(&["doctor", "--json"]);
        let checks: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
        let check = |name: &str| {
            checks
                .as_array()
                .expect("a list")
                .iter()
                .find(|check| check["name"] == name)
                .expect("a check")
                .clone()
        };
        assert_eq!(check("stat")["status"], stat, "{function}");
        let stacks = check("record, dump, audit");
        assert_eq!(stacks["status"], "missing", "{function}");
        assert_tells_the_kernel_and_the_read(stacks["found"].as_str().expect("text"));
    }
}

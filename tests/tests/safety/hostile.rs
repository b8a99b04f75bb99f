//! Programs that are made to harm whoever profiles them, or their neighbours: each of those stays whole beside them.

use std::process::Stdio;

use profiler_tests::{
    interpreters::required,
    punchclock::{json, punchclock, worker},
    record::Record,
    recording::Sample,
    wait_for,
    workload::{Workload, bound_to_us},
};

/// Names of the functions of a process's samples, each once.
fn functions(samples: &[Sample]) -> Vec<&str> {
    let mut functions: Vec<_> = samples.iter().flat_map(Sample::functions).collect();
    functions.sort_unstable();
    functions.dedup();
    functions
}

#[test]
fn a_forged_number_puts_no_names_on_anothers_frames() {
    for minor in [11, 12] {
        let Some(python) = required(minor) else { continue };
        let [forger, victim] =
            ["forger", "victim"].map(|role| Workload::python(&python.path, "collides.py", &[role]));
        let tgids = [forger.tgid(), victim.tgid()];
        let recorded = Record::start(&tgids, &["-r", "499"]).end_after(&tgids, 300);
        let of_victim = recorded.recording.samples_of(victim.tgid());
        assert_eq!(functions(&of_victim), ["<module>", "burn", "victim_work"]);
        let of_forger = recorded.recording.samples_of(forger.tgid());
        let of_forger = functions(&of_forger);
        assert!(of_forger.contains(&"forged") && !of_forger.contains(&"victim_work"), "{of_forger:?}");
        let both = tgids.map(|tgid| tgid.to_string()).join(",");
        let dump = json(&["dump", "--json", "-p", &both]);
        let of_victim = worker(&dump, victim.tgid()).to_string();
        assert!(of_victim.contains("victim_work") && !of_victim.contains("forged"), "{of_victim}");
    }
}

#[test]
fn a_page_that_never_comes_is_not_read() {
    let Some(python) = required(12) else { return };
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let mut target =
        Workload::python(&python.path, "never_answers.py", &[&folder.path().display().to_string()]);
    let tgid = target.json().to_string();
    let mut command = punchclock(&["record", "-d", "1", "-o", "all.punch", "-p", &tgid]);
    command.current_dir(folder.path());
    let mut record = bound_to_us(&mut command)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("punchclock is built");
    wait_for("its end", || record.try_wait().expect("it is our child").is_some());
    assert!(record.wait().expect("it is our child").success());
}

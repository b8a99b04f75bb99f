//! Programs that are made to harm whoever profiles them, or their neighbours: each of those stays whole beside them.

use profiler_tests::{interpreters::required, record::Record, recording::Sample, workload::Workload};

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
    }
}

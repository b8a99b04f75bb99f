//! Code objects that come and go: their names are their own.

use profiler_tests::{
    books::Books,
    interpreters::{Interpreter, supported},
    record::Record,
    recording::{Frame, Sample, total},
    wait_for,
    workload::Workload,
};

/// Samples that are asked for, of all interpreters together.
const SAMPLES: u64 = 100_000;

/// `f_12` → 12.
fn number(name: &str, prefix: &str) -> Option<u64> {
    name.strip_prefix(prefix)?.parse().ok()
}

/// Functions are compiled, run and dropped all the time, so that their code objects take each other's places. A function's
/// number tells who calls it: with another caller it has the name of one that was there before, or is there now.
#[test]
fn what_takes_a_place_does_not_take_the_name() {
    let interpreters = supported();
    let each = SAMPLES / interpreters.len() as u64 + 1000;
    let mut seen = 0;
    // Some at a time: two CPUs are fast enough for the clock with few.
    for some in interpreters.chunks(2) {
        let targets: Vec<(&Interpreter, Workload)> =
            some.iter().map(|interpreter| (interpreter, interpreter.start("churn.py", &[]))).collect();
        let tgids: Vec<_> = targets.iter().map(|(_, workload)| workload.tgid()).collect();
        let arguments = ["-r", "9999"];
        let recorded = Record::start(&tgids, &arguments).end_after(&tgids, each / 9);
        for (interpreter, workload) in targets {
            let samples = recorded.recording.samples_of(workload.tgid());
            let in_functions: Vec<_> =
                samples.iter().filter_map(|sample| Some((pair(sample)?, sample))).collect();
            let right = in_functions.iter().filter(|((caller, called), _)| called % 16 == *caller);
            let (right, all) = (right.count(), in_functions.len());
            assert_eq!(right, all, "{} wrong names under {interpreter:?}", all - right);
            assert!(all > 1000, "{all} functions under {interpreter:?}");
            seen += total(&samples);
        }
    }
    assert!(seen >= SAMPLES, "{seen} samples");
}

/// The numbers of a caller and of what it called.
fn pair(sample: &Sample) -> Option<(u64, u64)> {
    let names = sample.functions();
    names.windows(2).find_map(|pair| Some((number(pair[0], "caller_")?, number(pair[1], "f_")?)))
}

/// What a process ran that was gone before anybody could ask it has its names.
#[test]
fn short_lives_leave_their_names() {
    let targets: Vec<_> = supported()
        .into_iter()
        .map(|interpreter| (interpreter.start("short_lives.py", &[]), interpreter))
        .collect();
    let tgids: Vec<_> = targets.iter().map(|(workload, _)| workload.tgid()).collect();
    let record = Record::start(&tgids, &["-r", "999"]);
    // A parent waits once for each child.
    let children = |tgid: u32| Books::of_thread(tgid, tgid).expect("it lives").voluntary;
    let before: Vec<_> = tgids.iter().map(|tgid| (*tgid, children(*tgid))).collect();
    wait_for("six children of each", || before.iter().all(|(tgid, before)| children(*tgid) >= before + 6));
    let recorded = record.end();
    let samples = recorded.recording.samples();
    let of_children: Vec<_> = samples.iter().filter(|sample| !tgids.contains(&sample.tgid)).collect();
    let named = of_children
        .iter()
        .filter(|sample| sample.functions().iter().any(|name| number(name, "job_").is_some()));
    let jobs = named.map(|sample| sample.tgid).collect::<std::collections::BTreeSet<_>>().len();
    assert!(jobs > 2 * targets.len(), "{jobs} jobs of {} interpreters", targets.len());
    // Two runs of CI had a sample whose code could not be read; the cause is not known. It must be rare, and counted.
    let is_unnamed = |frame: &Frame| frame.name == "[unreadable Python frame]";
    let all: u64 = of_children.iter().map(|sample| sample.count).sum();
    let unnamed = of_children.iter().filter(|sample| sample.frames.iter().any(is_unnamed));
    let unnamed: u64 = unnamed.map(|sample| sample.count).sum();
    assert!(unnamed * 500 <= all, "{unnamed} of {all}");
    assert_eq!(unnamed == 0, recorded.recording.lost("code_unreadable") == 0, "what is missing is counted");
}

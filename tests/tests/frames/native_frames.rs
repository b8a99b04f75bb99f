//! Native frames among Python's.

use std::process::Command;

use profiler_tests::{
    gunicorn::venv,
    interpreters::{Interpreter, supported, unpacked},
    record::{Record, Recorded},
    recording::{Frame, Sample, total},
    workload::Workload,
    workloads,
};

fn record(interpreters: Vec<Interpreter>) -> (Recorded, Vec<(Workload, Interpreter)>) {
    let start = |interpreter: Interpreter| (interpreter.start("natives.py", &[]), interpreter);
    let targets: Vec<_> = interpreters.into_iter().map(start).collect();
    let tgids: Vec<_> = targets.iter().map(|(workload, _)| workload.tgid()).collect();
    (Record::start(&tgids, &["-n", "-r", "999"]).end_after(&tgids, 500), targets)
}

fn kind_is(kind: &'static str) -> impl Fn(&Frame) -> bool {
    move |frame| frame.kind == kind
}

/// Samples in which a function called native code, and of these the ones with a native leaf in a file.
fn with_leaf_in(samples: &[Sample], function: &str, file: &str) -> (u64, u64) {
    let inside: Vec<_> =
        samples.iter().filter(|sample| sample.functions().last() == Some(&function)).cloned().collect();
    let is_leaf = |sample: &&Sample| {
        let user = sample.frames.iter().rev().find(|frame| frame.kind != "kernel");
        user.is_some_and(|frame| frame.kind == "native" && frame.file.contains(file))
    };
    (inside.iter().filter(is_leaf).map(|sample| sample.count).sum(), total(&inside))
}

/// In C code that Python calls, the C function is the leaf, whatever the build keeps.
#[test]
fn the_c_function_is_the_leaf() {
    let (recorded, targets) = record(supported());
    for (workload, interpreter) in &targets {
        let samples = recorded.recording.samples_of(workload.tgid());
        let (leaf, all) = with_leaf_in(&samples, "compresses", "");
        assert!(all > 50, "{all} samples of {interpreter:?}");
        assert!(leaf * 100 >= all * 99, "{leaf} of {all} with a native leaf under {interpreter:?}");
        // It copies by the C library's help.
        let (own, _) = with_leaf_in(&samples, "compresses", "libz");
        assert!(own * 10 >= all * 7, "{own} of {all} with libz at the leaf under {interpreter:?}");
    }
}

/// In libraries as people use them, each function of C is the leaf under the Python function that called it.
#[test]
fn the_leaf_in_numpy_zlib_and_json() {
    let mut command = Command::new(venv().join("bin/python"));
    command.arg(workloads().join("numeric.py")).env("OPENBLAS_NUM_THREADS", "1");
    let workload = Workload::start(command);
    let recorded =
        Record::start(&[workload.tgid()], &["-n", "-r", "999"]).end_after(&[workload.tgid()], 3000);
    let samples = recorded.recording.samples_of(workload.tgid());
    let (mut leaf, mut all) = (0, 0);
    for function in ["multiplies", "compresses", "reads"] {
        let (with_leaf, inside) = with_leaf_in(&samples, function, "");
        assert!(inside > 200, "{inside} samples in {function}");
        leaf += with_leaf;
        all += inside;
    }
    assert!(leaf * 100 >= all * 99, "{leaf} of {all} with a native leaf");
    let (openblas, inside) = with_leaf_in(&samples, "multiplies", "openblas");
    assert!(openblas * 10 >= inside * 9, "{openblas} of {inside} with OpenBLAS at the leaf");
    let named =
        samples.iter().flat_map(|sample| &sample.frames).any(|frame| frame.name.starts_with("sgemm_kernel"));
    assert!(named, "its kernel is named");
}

/// Code that the interpreter makes for `perf` has the names that it writes down.
#[test]
fn code_made_at_run_time_has_its_names() {
    let Some(python) = unpacked(15) else {
        return profiler_tests::cannot_run("there is no Python 3.15: cargo xtask pythons");
    };
    let root = python.root.as_ref().expect("it is unpacked");
    std::fs::create_dir_all(root.join("tmp")).expect("there is room for a folder");
    let mut command = python.command();
    command.args(["-X", "perf"]).arg(python.workloads().join("natives.py"));
    let workload = Workload::start(command);
    let recorded = Record::start(&[workload.tgid()], &["-n", "-r", "999"]).end_after(&[workload.tgid()], 500);
    let samples = recorded.recording.samples_of(workload.tgid());
    let made = |sample: &Sample| sample.frames.iter().any(|frame| frame.name.starts_with("py::sorts:"));
    let all: Vec<_> =
        samples.iter().filter(|sample| sample.functions().contains(&"sorts")).cloned().collect();
    let with_name: u64 = all.iter().filter(|sample| made(sample)).map(|sample| sample.count).sum();
    assert!(total(&all) > 50, "{} samples", total(&all));
    assert!(with_name * 2 >= total(&all), "{with_name} of {} with the name", total(&all));
}

/// Code that is mapped from a file which is no ELF is that file's, under the Python function that called it.
#[test]
fn code_of_no_elf_file_is_its_files() {
    let python = supported().pop().expect("there is a Python");
    let workload = python.start("closure.py", &[]);
    let recorded = Record::start(&[workload.tgid()], &["-n", "-r", "999"]).end_after(&[workload.tgid()], 500);
    let samples = recorded.recording.samples_of(workload.tgid());
    let (leaf, all) = with_leaf_in(&samples, "calls", "closure");
    assert!(all > 200 && all * 100 >= total(&samples) * 99, "{all} of {}", total(&samples));
    assert!(leaf * 100 >= all * 99, "{leaf} of {all} with the file's code at the leaf: {samples:#?}");
}

/// Where a build keeps frame pointers the native stack is whole, and each segment of Python frames stands where native code
/// called it: below is what called the interpreter, above what that calls.
#[test]
fn python_and_native_frames_are_one_stack() {
    let Some(python) = unpacked(15) else {
        return profiler_tests::cannot_run("there is no Python 3.15: cargo xtask pythons");
    };
    let (recorded, targets) = record(vec![python]);
    let samples = recorded.recording.samples_of(targets[0].0.tgid());
    let in_key: Vec<_> =
        samples.iter().filter(|sample| sample.functions().last() == Some(&"by_key")).cloned().collect();
    let (mut merged, all) = (0, total(&in_key));
    for sample in &in_key {
        let place = |name: &str| sample.frames.iter().position(|frame| frame.name == name);
        let (sorts, key) = (place("sorts").expect("it calls"), place("by_key").expect("it is called"));
        let between = &sample.frames[sorts + 1..key];
        assert!(between.iter().all(kind_is("native")), "{sample:#?}");
        // From the C library's start on, and with the sort between the two.
        let is_whole = place("Py_BytesMain").is_some_and(|main| main < sorts) && !between.is_empty();
        merged += if is_whole { sample.count } else { 0 };
    }
    assert!(all > 50, "{all} samples");
    // A function that has not set up its frame yet hides its caller.
    assert!(merged * 100 >= all * 75, "{merged} of {all} are merged");
    let apart = recorded.recording.lost("native_apart");
    assert!(merged == all || apart != 0, "what does not fit is counted");
    assert!(apart * 10 <= total(&samples), "{apart} stacks of {} samples did not fit", total(&samples));
}

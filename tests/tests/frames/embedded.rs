//! Interpreters that are a part of a program and export nothing: their symbols are in the program's own table, or nowhere.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use profiler_tests::{
    interpreters::{Interpreter, supported},
    record::Record,
    recording::total,
    workload::Workload,
    workloads,
};

/// From this minor version on an interpreter is found without any symbol.
const WITHOUT_SYMBOLS: u32 = 10;

/// The one file in a folder whose name begins and ends so.
fn file(folder: &Path, starts: &str, ends: &str) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.flatten().map(|file| file.path());
    let mut fitting = files.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(starts) && name.ends_with(ends)
    });
    fitting.next()
}

/// The workload with the static library that was built beside an interpreter, and its home; `None` if there is none, or it
/// is a distribution's, which needs libraries that need not be there.
fn build(python: &Interpreter, folder: &Path) -> Option<(PathBuf, PathBuf)> {
    let prefix = python.path.parent()?.parent().filter(|prefix| *prefix != Path::new("/usr"))?;
    let named = format!("python3.{}", python.minor);
    let config = file(&prefix.join("lib").join(&named), "config-", "")?;
    let library = file(&config, &format!("lib{named}"), ".a")?;
    let headers = file(&prefix.join("include"), &named, "")?;
    let program = folder.join(format!("embedded-3.{}", python.minor));
    let mut compiler = Command::new("cc");
    compiler.arg("-o").arg(&program).arg(workloads().join("embedded.c")).arg("-I").arg(headers).arg(library);
    let output = compiler.args(["-lm", "-ldl", "-lpthread", "-lutil"]).output().expect("there is a compiler");
    assert!(output.status.success(), "{compiler:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some((program, prefix.to_owned()))
}

fn start(program: &Path, home: &Path) -> Workload {
    let mut command = Command::new(program);
    command.env("PYTHONHOME", home);
    Workload::start(command)
}

#[test]
fn an_interpreter_that_exports_nothing_is_walked() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let mut targets = Vec::new();
    for python in supported().iter().filter(|python| python.root.is_none() && python.has_gil()) {
        let Some((program, home)) = build(python, folder.path()) else { continue };
        targets.push((start(&program, &home), program.clone()));
        if python.minor >= WITHOUT_SYMBOLS {
            let stripped = program.with_extension("stripped");
            let output = Command::new("strip").arg("-o").arg(&stripped).arg(&program).output();
            assert!(output.expect("there is strip").status.success());
            targets.push((start(&stripped, &home), stripped));
        }
    }
    assert!(!targets.is_empty(), "no interpreter has a static library");
    let tgids: Vec<_> = targets.iter().map(|(workload, _)| workload.tgid()).collect();
    let recorded = Record::start(&tgids, &["-r", "999"]).end_after(&tgids, 300);
    for (workload, program) in &targets {
        let samples = recorded.recording.samples_of(workload.tgid());
        assert!(total(&samples) > 100, "{} samples of {}", total(&samples), program.display());
        for sample in &samples {
            let functions = sample.functions();
            assert!(functions.starts_with(&["<module>", "serves"]), "{functions:?} of {}", program.display());
        }
    }
}

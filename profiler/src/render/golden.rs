//! Golden files of the fixture, judged once by eye and kept in `tests/golden`. `BLESS=1` replaces the files.

use std::{env, fs, path::Path};

use crate::{
    model::{
        fixture,
        recording::Recording,
        report::{Finding, Severity},
    },
    render::{
        graph::{
            flamegraph,
            fold::{By, GraphOptions, fold},
            folded,
        },
        stat::text,
        term::grid::TableOptions,
    },
};

/// Compares with a golden file, or replaces it.
fn compare(name: &str, seen: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden").join(name);
    if env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, seen).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    let lines = || golden.lines().zip(seen.lines()).enumerate();
    let (line, (expected, found)) = lines().find(|(_, (golden, seen))| golden != seen).unwrap_or_default();
    assert!(
        golden == seen,
        "{} is not what is drawn now. The first line that differs, {}:\n  golden: {expected}\n  now:    {found}\n\
         If the new one is right, run `BLESS=1 cargo test -p profiler --lib golden` and look at the file.",
        path.display(),
        line + 1,
    );
}

#[test]
fn folded_stacks() {
    let graph = GraphOptions { by: By::Worker, ..GraphOptions::default() };
    compare("fixture.folded", &folded::text(&fold(&fixture::recording(), graph)));
}

#[test]
fn flame_graph() {
    let graph = GraphOptions { native: true, kernel: true, ..GraphOptions::default() };
    let svg = flamegraph::svg(&fixture::recording(), graph).unwrap();
    compare("fixture.svg", str::from_utf8(&svg).unwrap());
}

#[test]
fn numbers_on_screens_of_three_widths() {
    let Recording { stat, profile, .. } = fixture::recording();
    let claim = "event loop blocked 48 % by sleep in stall (srv/asgi_app.py:12), longest 201 ms".to_owned();
    let findings = [vec![Finding { severity: Severity::Warning, claim, ..Finding::default() }]];
    for width in [80, 120, 200] {
        let options =
            TableOptions { width: Some(width), threads: width > 80, switches: width == 120, colour: false };
        compare(&format!("fixture_{width}.txt"), &text(&stat, &profile, &findings, options));
    }
}

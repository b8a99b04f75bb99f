//! Part E: how long until a fleet of 64 workers is seen, and until 10,000 frames have names.

use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    Bench,
    held::Target,
    interrupt,
    report::{self, Section},
    samples::interpreter,
    spread::Spread,
};
use crate::exec::{as_root, read};

const WORKERS: &str = "64";
const FRAMES: &str = "10000";

pub fn measure(bench: &Bench) -> Result<Section> {
    let python = interpreter(11).context("failed to find a Python 3.11 in pyenv or on PATH")?;
    let fleet = start(&python, WORKERS)?;
    let alone = start(&python, "1")?;
    let (mut begins, mut one, mut names) = (Vec::new(), Vec::new(), Vec::new());
    let mut found = (0, 0);
    for round in 0..bench.plan.begin_rounds {
        interrupt::check()?;
        eprintln!("bench: begins, round {} of {}", round + 1, bench.plan.begin_rounds);
        begins.push(begin(bench, fleet.pid(), 1)?);
        one.push(begin(bench, alone.pid(), 0)?);
        let took = read(as_root(&bench.symbolize).args([&fleet.pid().to_string(), FRAMES]))?;
        let took: Value = serde_json::from_str(&took).context("failed to parse what the example wrote")?;
        let count = |key: &str| took[key].as_u64().unwrap_or(0);
        found = (count("frames"), count("named"));
        names.push(took["ms"].as_f64().context("failed to find a time")?);
    }
    let (begins, one, names) = (Spread::of(begins), Spread::of(one), Spread::of(names));
    let head = ["until", "ms"];
    let rows = [
        ("the first sample of 64 workers can be whole", &begins),
        ("the same of one worker: what loading and the verifier take", &one),
        ("10,000 frames have names", &names),
    ];
    let table = report::table(&head, rows.map(|(what, ms)| vec![what.to_owned(), format!("{ms:.0}")]));
    let (frames, named) = found;
    let markdown = format!(
        "{table}\n\
         From before `punchclock record -p` of `tests/workloads/fleet.py {WORKERS}` is started until its window begins, when \
         everything is attached and each worker's interpreter is known: all samples of these recordings were whole. \
         `symbolize_frames`, an example of the crate `profiler`, names {frames} addresses spread over the code that the \
         fleet's first process maps; {named} have a symbol.\n",
    );
    let targets = vec![
        report::Target::at_most(
            "a fleet of 64 is seen, from the command's start,",
            300.0,
            begins.median,
            " ms",
        ),
        report::Target::at_most("10,000 frames have names", 1000.0, names.median, " ms"),
    ];
    Ok(Section { markdown, targets })
}

fn start(python: &str, workers: &str) -> Result<Target> {
    let mut fleet = Target::start(&[python, "tests/workloads/fleet.py", workers])?;
    ensure!(fleet.line()? == "ready", "failed to start {python}");
    Ok(fleet)
}

/// From before a recording of a fleet is started until its window begins, ms. At least so many samples are to be seen, all
/// of them whole.
fn begin(bench: &Bench, master: u32, least: u64) -> Result<f64> {
    let before =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("failed to read a clock")?;
    let mut record = as_root(&bench.punchclock);
    record.args(["record", "--json", "-d", "0.3", "-r", "999", "-p", &master.to_string(), "-o"]);
    let report = read(record.arg(bench.out.join("begins.folded")))?;
    let report: Value =
        serde_json::from_str(&report).context("failed to parse what `punchclock record` wrote")?;
    let samples = |key: &str| report["quality"]["samples"][key].as_u64().unwrap_or(0);
    let (all, whole) = (samples("total"), samples("python_complete"));
    ensure!(all >= least && all == whole, "failed to see whole stacks from the beginning: {whole} of {all}");
    let started_ns = report["started_unix_ns"].as_u64().context("failed to find when it began")?;
    Ok((started_ns as f64 - before.as_nanos() as f64) / 1e6)
}

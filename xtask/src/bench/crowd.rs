//! Part F: what a session of a thousand workers of ten threads costs, beside one of four such workers.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::{
    Bench,
    held::{Held, Target},
    interrupt::{self, pause},
    programs::{Program, held_by, switches, wait_for},
    report::{self, Section},
    samples::interpreter,
    usage::Usage,
};
use crate::exec::{self, as_root};

const WORKERS: u32 = 1000;
const FEW: u32 = 4;
const THREADS: u32 = 10;
/// Seconds of each window.
const WINDOW: f64 = 10.0;
/// When in it switches are counted.
const COUNTED: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(8)];

/// A verb, with what it may take more than its window, and resident memory.
struct Verb {
    name: &'static str,
    most_s: f64,
    most_mb: f64,
}

const VERBS: [Verb; 2] =
    [Verb { name: "stat", most_s: 1.0, most_mb: 60.0 }, Verb { name: "record", most_s: 1.5, most_mb: 100.0 }];

/// What one session took.
struct Session {
    run_s: f64,
    window_s: f64,
    lost: u64,
    resident_mb: f64,
    /// Own CPU time, percent of a core over the whole run.
    cpu: f64,
    switch_ns: f64,
    /// A second, of the whole machine.
    switches: f64,
}

pub fn measure(bench: &Bench) -> Result<Section> {
    let python = interpreter(11).context("failed to find a Python 3.11 in pyenv or on PATH")?;
    let few = measure_crowd(bench, &python, FEW)?;
    let crowd = Crowd::start(&python, WORKERS)?;
    let ps_s = ps(bench)?;
    drop(crowd);
    let many = measure_crowd(bench, &python, WORKERS)?;
    let mut targets = vec![report::Target::at_most("`ps` of 1,000 workers", 0.5, ps_s, " s")];
    let mut rows = vec![vec!["`ps`".to_owned(), format!("{ps_s:.2} s")]];
    rows[0].resize(8, String::new());
    for ((verb, few), many) in VERBS.iter().zip(&few).zip(&many) {
        let Verb { name, most_s, most_mb } = verb;
        for (workers, session) in [(FEW, few), (WORKERS, many)] {
            let Session { run_s, window_s, lost, resident_mb, cpu, switch_ns, switches } = session;
            rows.push(vec![
                format!("`{name}`, {workers} × {THREADS}"),
                format!("{run_s:.2} s"),
                format!("{window_s:.3} s"),
                lost.to_string(),
                format!("{resident_mb:.0} MB"),
                format!("{cpu:.2} %"),
                format!("{switch_ns:.0}"),
                format!("{switches:.0}"),
            ]);
        }
        let target = |what: &str, most, measured, unit| {
            report::Target::at_most(&format!("`{name}` of 1,000 workers: {what}"), most, measured, unit)
        };
        targets.extend([
            target("run time less the window", *most_s, many.run_s - many.window_s, " s"),
            target("the window's error", 0.05, (many.window_s - WINDOW).abs(), " s"),
            target("lost", 0.0, many.lost as f64, ""),
            target("resident", *most_mb, many.resident_mb, " MB"),
            target("own CPU", 2.0, many.cpu, " % of a core"),
            target("a switch, by that of four", 1.1, many.switch_ns / few.switch_ns, ""),
        ]);
    }
    let head = ["", "runs", "window", "lost", "resident", "own CPU, of a core", "ns a switch", "switches/s"];
    let table = report::table(&head, rows);
    let markdown = format!(
        "{table}\n\
         `tests/workloads/crowd.py`: each thread wakes about once a second and finds nothing to do. Windows of {WINDOW} s were \
         asked. Lost is the sum of all causes that the quality counts; own CPU and resident memory are those of the whole run, as \
         the kernel tells a parent of its child.\n",
    );
    Ok(Section { markdown, targets })
}

/// Both verbs on a crowd of so many workers, which waits anew for each.
fn measure_crowd(bench: &Bench, python: &str, workers: u32) -> Result<Vec<Session>> {
    let crowd = Crowd::start(python, workers)?;
    let session = |verb: &Verb| {
        interrupt::check()?;
        eprintln!("bench: {} of {workers} workers", verb.name);
        run(bench, verb.name, crowd.0.pid())
    };
    VERBS.iter().map(session).collect()
}

/// The whole run of a verb.
fn run(bench: &Bench, verb: &str, master: u32) -> Result<Session> {
    let out = bench.out.join("crowd.json");
    let mut command = as_root(&bench.punchclock);
    command.args([verb, "--json", "-d", &WINDOW.to_string(), "-p", &master.to_string()]);
    if verb == "record" {
        command.arg("-o").arg(bench.out.join("crowd.folded"));
    }
    let _statistics = Held::statistics()?;
    let began = Instant::now();
    let tool = Held::tool(&command, &out)?;
    let pid = tool.pid()?;
    wait_for(pid, Program::is_on_switch)?;
    let mut readings = Vec::new();
    let mut usage = Usage::default();
    while let Some(now) = Usage::of(pid) {
        usage = Usage { cpu_ns: usage.cpu_ns.max(now.cpu_ns), ..now };
        if COUNTED.get(readings.len()).is_some_and(|at| began.elapsed() >= *at) {
            readings.push((Instant::now(), held_by(pid)?));
        }
        pause(Duration::from_millis(20))?;
    }
    let run_s = began.elapsed().as_secs_f64();
    drop(tool);
    let said: Value = serde_json::from_str(&super::read(&out)?)
        .with_context(|| format!("failed to parse what `{verb}` wrote"))?;
    let [(from, before), (to, after)] = &readings[..] else {
        bail!("failed to see `{verb}` run for its window")
    };
    let counted = switches(before, after)?;
    let lost = said["quality"]["lost"].as_object().context("failed to find what was lost")?;
    Ok(Session {
        run_s,
        window_s: said["duration_ns"].as_f64().context("failed to find how long the window was")? / 1e9,
        lost: lost.values().filter_map(Value::as_u64).sum(),
        resident_mb: usage.peak_bytes as f64 / 1e6,
        cpu: usage.cpu_ns as f64 / run_s / 1e7,
        switch_ns: counted.ns as f64 / counted.count as f64,
        switches: counted.count as f64 / (*to - *from).as_secs_f64(),
    })
}

/// How long `ps` takes, s.
fn ps(bench: &Bench) -> Result<f64> {
    let began = Instant::now();
    exec::read(as_root(&bench.punchclock).arg("ps"))?;
    Ok(began.elapsed().as_secs_f64())
}

/// The crowd, which ends when it is dropped: its workers when they see that their parent is gone.
struct Crowd(Target);

impl Crowd {
    fn start(python: &str, workers: u32) -> Result<Self> {
        let words = [workers, THREADS].map(|word| word.to_string());
        let mut target = Target::start(&[python, "tests/workloads/crowd.py", &words[0], &words[1]])?;
        ensure!(target.line()? == "ready", "failed to start a crowd");
        Ok(Self(target))
    }
}

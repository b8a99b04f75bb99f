//! Part B: what a sample of a thread with 30 Python frames costs, by the kernel's own statistics.

use std::{env, fs, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    Bench,
    held::{Held, Target},
    interrupt::pause,
    programs, read,
    report::{self, Section},
    rotated,
    spread::Spread,
};

const FRAMES: &str = "30";
pub(super) const MINORS: [u32; 3] = [8, 11, 13];
const RATES: [u32; 2] = [99, 999];

/// One recording.
#[derive(Clone, Copy)]
struct Cost {
    hit_ns: f64,
    miss_ns: f64,
    hits: u64,
    complete: u64,
    frames: usize,
}

pub fn measure(bench: &Bench) -> Result<Section> {
    let _statistics = Held::statistics()?;
    let pythons =
        MINORS.into_iter().filter_map(|minor| Some((minor, interpreter(minor)?))).collect::<Vec<_>>();
    ensure!(!pythons.is_empty(), "failed to find a Python 3.8, 3.11 or 3.13 in pyenv or on PATH");
    let cases = (0..pythons.len()).flat_map(|python| RATES.map(|rate| (python, rate))).collect::<Vec<_>>();
    let mut costs = cases.iter().map(|&case| (case, Vec::new())).collect::<Vec<_>>();
    for round in 0..bench.plan.sample_rounds {
        eprintln!("bench: samples, round {} of {}", round + 1, bench.plan.sample_rounds);
        for index in rotated(&(0..cases.len()).collect::<Vec<_>>(), round) {
            let (python, rate) = cases[index];
            costs[index].1.push(window(bench, &pythons[python].1, rate)?);
        }
    }
    let mut targets = Vec::new();
    let rows = costs.iter().map(|&((python, rate), ref costs)| {
        let minor = pythons[python].0;
        let hit_us = Spread::of(costs.iter().map(|cost| cost.hit_ns / 1e3));
        let what = format!("a sample of Python 3.{minor} at {rate} Hz");
        // From 3.11 on the frames of many calls are read at once.
        let limit = if rate == 999 && minor >= 11 { 2.5 } else { 6.0 };
        targets.push(report::Target::at_most(&what, limit, hit_us.median, " µs"));
        let [hits, complete] = [|cost: &Cost| cost.hits, |cost: &Cost| cost.complete]
            .map(|of| costs.iter().map(of).sum::<u64>());
        vec![
            format!("3.{minor}"),
            rate.to_string(),
            costs[0].frames.to_string(),
            format!("{hit_us:.2}"),
            format!("{:.0}", Spread::of(costs.iter().map(|cost| cost.miss_ns))),
            hits.to_string(),
            format!("{:.1} %", 100.0 * complete as f64 / hits as f64),
        ]
    });
    let head = ["Python", "Hz", "frames", "µs per sample", "ns per tick elsewhere", "samples", "complete"];
    let table = report::table(&head, rows.collect::<Vec<_>>());
    let markdown = format!(
        "{table}\n\
         `punchclock record -r HZ` of `tests/workloads/deep.py {FRAMES}` spinning on CPU 1, {} rounds of {:.1} s: the \
         run time of the program `sample`, less that of the ticks that hit something else, over the samples that the \
         recording tells of. A tick elsewhere is measured in the same recording, with the target stopped.\n",
        bench.plan.sample_rounds,
        bench.plan.busy.as_secs_f64(),
    );
    Ok(Section { markdown, targets })
}

fn window(bench: &Bench, python: &str, rate: u32) -> Result<Cost> {
    let mut target = Target::start(&[python, "tests/workloads/deep.py", FRAMES])?;
    ensure!(target.line()? == "ready", "failed to start {python}");
    let [out, folded] = ["samples.out", "samples.folded"].map(|name| bench.out.join(name));
    let mut record = Command::new(&bench.punchclock);
    record.args(["record", "--json", "-d", "3600", "-r", &rate.to_string(), "-p", &target.pid().to_string()]);
    let tool = Held::tool(record.arg("-o").arg(&folded), &out)?;
    let pid = tool.pid()?;
    programs::wait_for(pid, |program| program.name == "sample" && program.runs > 0)?;
    pause(bench.plan.busy)?;
    // From here on every tick hits something else, so all samples there will be are in the first reading.
    target.stop()?;
    pause(Duration::from_millis(20))?;
    let (runs, ns) = sample(pid)?;
    pause(bench.plan.busy / 2)?;
    let (later_runs, later_ns) = sample(pid)?;
    let status = tool.end()?;
    ensure!(status.success(), "failed to record: see {}.err", out.display());

    let stat: Value =
        serde_json::from_str(&read(&out)?).context("failed to parse what `punchclock record` wrote")?;
    let samples = |key: &str| stat["quality"]["samples"][key].as_u64().unwrap_or(0);
    let hits = samples("total");
    ensure!(hits > 0 && hits <= runs, "failed to match {hits} samples with {runs} ticks");
    let miss_ns = (later_ns - ns) as f64 / (later_runs - runs) as f64;
    let hit_ns = (ns as f64 - (runs - hits) as f64 * miss_ns) / hits as f64;
    Ok(Cost { hit_ns, miss_ns, hits, complete: samples("python_complete"), frames: frames(&read(&folded)?) })
}

/// Runs and run time, ns, of `sample`.
fn sample(pid: u32) -> Result<(u64, u64)> {
    let programs = programs::held_by(pid)?;
    let sample =
        programs.iter().find(|program| program.name == "sample").context("failed to find `sample`")?;
    Ok((sample.runs, sample.ns))
}

/// Python frames of the stack that was seen most: what is folded, without the worker at its root.
fn frames(folded: &str) -> usize {
    let lines = folded.lines().filter_map(|line| line.rsplit_once(' '));
    let most = lines.max_by_key(|(_, weight)| weight.parse::<u64>().unwrap_or(0));
    most.map_or(0, |(stack, _)| stack.split(';').count() - 1)
}

/// A Python of pyenv's or on PATH, but none of pyenv's shims, which are scripts.
pub(super) fn interpreter(minor: u32) -> Option<String> {
    let name = format!("python3.{minor}");
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".pyenv"));
    let pyenv = env::var_os("PYENV_ROOT").map(PathBuf::from).or_else(home);
    let versions =
        pyenv.and_then(|root| fs::read_dir(root.join("versions")).ok()).into_iter().flatten().flatten();
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = versions.map(|version| version.path().join("bin")).chain(env::split_paths(&path));
    let mut found = folders
        .map(|folder| folder.join(&name))
        .filter(|path| path.is_file() && !path.iter().any(|part| part == "shims"));
    found.next()?.into_os_string().into_string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commonest_stack_is_the_one_that_counts() {
        assert_eq!(frames("worker 1;<module>;descend 3\nworker 1;<module>;descend;leaf 900\n"), 3);
        assert_eq!(frames(""), 0);
    }
}

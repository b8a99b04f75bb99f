//! Profilers that sample a fleet, as root on CPU 0: started, watched and ended.

use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Bench, held::Held, interrupt::pause, programs, read, usage::Usage};

/// What perf samples, and starts: a shell, once it samples. CPU 1 has all of the fleet.
const PERF: &str = "record --cpu 1 --event cpu-clock";
const SAMPLING: &str = "Sampling process";

/// Which, and its samples a second.
#[derive(Clone, Copy, PartialEq)]
pub enum Sampler {
    Punchclock(u32),
    Perf(u32),
    PySpy(u32),
}

/// One at work.
pub struct Profiler {
    pub pid: u32,
    sampler: Sampler,
    tool: Held,
    /// What it writes.
    out: PathBuf,
    /// How long it was told to sample, if it is told.
    seconds: u64,
}

impl Profiler {
    /// Starts it, and waits until it samples: for `at_least` so long from then on.
    pub fn start(bench: &Bench, sampler: Sampler, master: u32, at_least: Duration) -> Result<Self> {
        let out = bench.out.join("profiler.out");
        let seconds = at_least.as_secs() + 1;
        let tool = Held::tool(&command(bench, sampler, master, seconds), &out)?;
        let profiler = Self { pid: tool.pid()?, sampler, tool, out, seconds };
        if let Sampler::Punchclock(_) = sampler {
            // It is loaded, and attached a moment later.
            programs::wait_for(profiler.pid, |program| program.name == "sample")?;
            return Ok(profiler);
        }
        // A thread of py-spy's for each worker follows.
        let deadline = Instant::now() + Duration::from_secs(20);
        while !read(&profiler.out)?.contains(SAMPLING) {
            ensure!(Instant::now() < deadline, "failed to see it begin: see {}.err", profiler.out.display());
            pause(Duration::from_millis(10))?;
        }
        Ok(profiler)
    }

    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid).with_context(|| format!("failed to see the profiler: {}", self.pid))
    }

    /// Lets it end and write: what it used in all, and the samples it took per second.
    pub fn end(mut self, last: Usage) -> Result<(Usage, f64)> {
        if let Sampler::Punchclock(_) = self.sampler {
            self.tool.let_go();
        }
        let usage = last.to_the_end(self.pid)?;
        let status = self.tool.end()?;
        ensure!(status.success(), "failed to record: see {}.err", self.out.display());
        if let Sampler::Punchclock(_) = self.sampler {
            return Ok((usage, recorded(&read(&self.out)?)?));
        }
        let errors = self.out.with_extension("out.err");
        let said = read(&self.out)? + &read(&errors)?;
        let samples =
            told(&said).with_context(|| format!("failed to find samples in {}", errors.display()))?;
        Ok((usage, samples as f64 / self.seconds as f64))
    }
}

fn command(bench: &Bench, sampler: Sampler, master: u32, seconds: u64) -> Command {
    let [seconds, master] = [seconds, u64::from(master)].map(|number| number.to_string());
    let file = |name: &str| bench.out.join(name);
    match sampler {
        Sampler::Punchclock(rate) => {
            let mut command = Command::new(&bench.punchclock);
            command.args(["record", "--json", "-d", "3600", "-r", &rate.to_string(), "-p", &master]);
            command.arg("-o").arg(file("profiler.svg"));
            command
        }
        Sampler::Perf(rate) => {
            let mut command = Command::new("perf");
            command.args(PERF.split(' ')).args(["--freq", &rate.to_string(), "--output"]);
            // It starts the command when it begins, and ends with it.
            command.arg(file("perf.data")).args(["--", "sh", "-c", "echo $1; exec sleep $0", &seconds]);
            command.arg(SAMPLING);
            command
        }
        Sampler::PySpy(rate) => {
            let mut command = Command::new(bench.venv.join("bin/py-spy"));
            command.args(["record", "-s", "-d", &seconds, "-r", &rate.to_string(), "-p", &master]);
            command.arg("-o").arg(file("profiler.svg"));
            command
        }
    }
}

/// Samples a second, as `punchclock record` tells them.
fn recorded(stat: &str) -> Result<f64> {
    let stat: Value = serde_json::from_str(stat).context("failed to parse what `punchclock record` wrote")?;
    let number = |value: &Value| value.as_u64().unwrap_or(0) as f64;
    Ok(number(&stat["quality"]["samples"]["total"]) / number(&stat["duration_ns"]) * 1e9)
}

/// Samples, as py-spy (`Samples: 400 Errors: 0`) and perf (`perf.data (400 samples)`) tell them.
fn told(said: &str) -> Option<u64> {
    let (_, after) = said.split_once("Samples: ").or_else(|| said.split_once("perf.data ("))?;
    after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_in_what_both_say() {
        assert_eq!(told("Wrote flamegraph. Samples: 396 Errors: 0"), Some(396));
        assert_eq!(
            told("[ perf record: Captured and wrote 0.1 MB target/perf.data (297 samples) ]"),
            Some(297)
        );
        assert_eq!(told("no such process"), None);
    }
}

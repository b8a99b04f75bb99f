//! Part D: what recording costs four busy Gunicorn workers on CPU 1, and what the profiler uses itself on CPU 0.

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    Bench, held::Held, pin, programs, read, report::Section, rotated, throughput_table::section, usage::Usage,
};
use crate::{load::Load, server::Server};

/// After a profiler has begun, until requests are counted.
const SETTLE: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, PartialEq)]
pub enum Contender {
    /// Nobody records.
    Nobody,
    Punchclock(u32),
    PySpy(u32),
}

/// Nobody twice: what two windows differ by without any reason.
pub const CONTENDERS: [Contender; 6] = [
    Contender::Nobody,
    Contender::Nobody,
    Contender::Punchclock(99),
    Contender::Punchclock(999),
    Contender::PySpy(100),
    Contender::PySpy(1000),
];

/// In time, by index: half a round lies between the two without a profiler.
const ORDER: [usize; CONTENDERS.len()] = [0, 2, 4, 1, 3, 5];

/// What one window showed.
#[derive(Clone, Copy, Default)]
pub struct Window {
    pub requests_per_second: f64,
    /// The profiler's CPU seconds per second of the window.
    pub cpu: f64,
    /// Its CPU seconds before and after the window: it starts, settles, and writes.
    pub cpu_around: f64,
    pub peak_bytes: u64,
    pub map_bytes: u64,
    pub samples_per_second: f64,
}

pub fn measure(bench: &Bench) -> Result<Section> {
    pin(1)?;
    let mut server = Server::start(&bench.venv, &bench.out.join("gunicorn.log"))?;
    server.wait_until_ready()?;
    pin(0)?;
    // More clients than workers: none of them is ever idle.
    let load = Load::start(server.address(), 8);
    // All workers have come up, and have warmed up.
    thread::sleep(Duration::from_secs(2));
    let mut rounds = Vec::new();
    for round in 0..bench.plan.window_rounds {
        eprintln!("bench: throughput, round {} of {}", round + 1, bench.plan.window_rounds);
        let mut windows = [Window::default(); CONTENDERS.len()];
        for index in rotated(&ORDER, round) {
            windows[index] = window(bench, CONTENDERS[index], &server, &load)?;
        }
        rounds.push(windows);
    }
    Ok(section(bench, &rounds))
}

fn window(bench: &Bench, contender: Contender, server: &Server, load: &Load) -> Result<Window> {
    let Some(profiler) = Profiler::start(bench, contender, server.pid())? else {
        thread::sleep(SETTLE);
        return Ok(Window { requests_per_second: count(load, bench.plan.window).0, ..Window::default() });
    };
    thread::sleep(SETTLE);
    let before = profiler.usage()?;
    let (requests_per_second, seconds) = count(load, bench.plan.window);
    let after = profiler.usage().context("failed to keep the profiler at work for the whole window")?;
    let map_bytes =
        if let Contender::Punchclock(_) = contender { programs::map_bytes(profiler.pid)? } else { 0 };

    let cpu_ns = after.cpu_ns - before.cpu_ns;
    let (at_the_end, samples_per_second) = profiler.end(after)?;
    Ok(Window {
        requests_per_second,
        cpu: cpu_ns as f64 / 1e9 / seconds,
        cpu_around: (at_the_end.cpu_ns - cpu_ns) as f64 / 1e9,
        peak_bytes: at_the_end.peak_bytes,
        map_bytes,
        samples_per_second,
    })
}

/// Requests per second over so long, and how long that was in the end.
fn count(load: &Load, window: Duration) -> (f64, f64) {
    let (start, before) = (Instant::now(), load.answered());
    thread::sleep(window);
    let answered = load.answered() - before;
    let seconds = start.elapsed().as_secs_f64();
    (answered as f64 / seconds, seconds)
}

/// A profiler that samples.
struct Profiler<'a> {
    bench: &'a Bench,
    contender: Contender,
    tool: Held,
    pid: u32,
    /// Seconds it is told to record, if it is told.
    seconds: u64,
}

impl<'a> Profiler<'a> {
    /// Starts it and waits until it samples.
    fn start(bench: &'a Bench, contender: Contender, master: u32) -> Result<Option<Self>> {
        let (svg, out, master) = (bench.out.join("throughput.svg"), Self::out(bench), master.to_string());
        let seconds = (SETTLE + bench.plan.window).as_secs() + 1;
        let mut command = match contender {
            Contender::Nobody => return Ok(None),
            Contender::Punchclock(rate) => {
                let mut command = Command::new(&bench.punchclock);
                command.args(["record", "--json", "-d", "3600", "-r", &rate.to_string(), "-p", &master]);
                command
            }
            Contender::PySpy(rate) => {
                let mut command = Command::new(bench.venv.join("bin/py-spy"));
                command.args([
                    "record",
                    "-s",
                    "-d",
                    &seconds.to_string(),
                    "-r",
                    &rate.to_string(),
                    "-p",
                    &master,
                ]);
                command
            }
        };
        let tool = Held::tool(command.arg("-o").arg(svg), &out)?;
        let profiler = Self { bench, contender, pid: tool.pid()?, tool, seconds };
        if let Contender::Punchclock(_) = contender {
            // It is loaded, and attached a moment later.
            programs::wait_for(profiler.pid, |program| program.name == "sample")?;
        } else {
            // Said by py-spy once it has read the interpreter; a thread for each worker follows.
            let deadline = Instant::now() + Duration::from_secs(20);
            while !read(&out)?.contains("Sampling process") {
                ensure!(Instant::now() < deadline, "failed to see py-spy begin: see {}.err", out.display());
                thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(Some(profiler))
    }

    fn out(bench: &Bench) -> std::path::PathBuf {
        bench.out.join("throughput.out")
    }

    fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid).with_context(|| format!("failed to see the profiler: {}", self.pid))
    }

    /// Lets it end and write: what it used in all, and the samples it took per second.
    fn end(mut self, last: Usage) -> Result<(Usage, f64)> {
        if let Contender::Punchclock(_) = self.contender {
            self.tool.let_go();
        }
        let usage = last.to_the_end(self.pid);
        let status = self.tool.end()?;
        let out = Self::out(self.bench);
        ensure!(status.success(), "failed to record: see {}.err", out.display());
        let samples = if let Contender::Punchclock(_) = self.contender {
            let stat = read(&out)?;
            let stat: Value =
                serde_json::from_str(&stat).context("failed to parse what `punchclock record` wrote")?;
            let number = |value: &Value| value.as_u64().unwrap_or(0) as f64;
            number(&stat["quality"]["samples"]["total"]) / number(&stat["duration_ns"]) * 1e9
        } else {
            let said = read(&out)? + &fs::read_to_string(out.with_extension("out.err")).unwrap_or_default();
            let samples = said.split_once("Samples: ").map_or("", |(_, rest)| rest);
            let digits = samples.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            digits.parse::<f64>().unwrap_or(0.0) / self.seconds as f64
        };
        Ok((usage, samples))
    }
}

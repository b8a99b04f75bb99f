//! Part D: how much work four busy Python workers on CPU 1 do for each second of CPU time while they are recorded, and
//! what the profiler uses itself on CPU 0.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::{
    Bench,
    interrupt::pause,
    pieces::{Done, Pieces},
    profilers::{Profiler, Sampler},
    programs,
    report::Section,
    rotated,
    throughput_table::section,
};

/// After a profiler has begun, until work is counted.
pub const SETTLE: Duration = Duration::from_millis(500);

/// Nobody, once more: what two windows differ by without any reason.
pub const CONTENDERS: [Option<Sampler>; 7] = [
    None,
    Some(Sampler::Punchclock(99)),
    Some(Sampler::Perf(99)),
    Some(Sampler::PySpy(100)),
    Some(Sampler::Punchclock(999)),
    Some(Sampler::Perf(999)),
    Some(Sampler::PySpy(1000)),
];

/// What one window showed.
#[derive(Clone, Copy, Default)]
pub struct Window {
    /// Pieces of work per second of the workers' CPU time.
    pub pieces_per_second: f64,
    /// Throughput divided by that of the windows before and after, in which nobody recorded.
    pub ratio: f64,
    /// The profiler's CPU seconds per second of the window.
    pub cpu: f64,
    /// Its CPU seconds before and after the window: it starts, settles, and writes.
    pub cpu_around: f64,
    pub peak_bytes: u64,
    pub map_bytes: u64,
    pub samples_per_second: f64,
}

/// A window of each contender.
pub type Round = [Window; CONTENDERS.len()];

pub fn measure(bench: &Bench) -> Result<Section> {
    let fleet = Pieces::start(&bench.venv, &bench.out)?;
    let mut rounds = Vec::new();
    let mut before = count(bench, &fleet)?;
    for round in 0..bench.plan.window_rounds {
        eprintln!("bench: work, round {} of {}", round + 1, bench.plan.window_rounds);
        let mut windows = Round::default();
        for index in rotated(&[0, 1, 2, 3, 4, 5, 6], round) {
            let window = window(bench, CONTENDERS[index], &fleet)?;
            let after = count(bench, &fleet)?;
            let ratio = window.pieces_per_second / f64::midpoint(before, after);
            windows[index] = Window { ratio, ..window };
            before = after;
        }
        rounds.push(windows);
    }
    Ok(section(bench, &rounds))
}

fn window(bench: &Bench, sampler: Option<Sampler>, fleet: &Pieces) -> Result<Window> {
    let Some(sampler) = sampler else {
        return Ok(Window { pieces_per_second: count(bench, fleet)?, ..Window::default() });
    };
    let profiler = Profiler::start(bench, sampler, fleet.pid(), SETTLE + bench.plan.window)?;
    pause(SETTLE)?;
    let (begin, before) = (Instant::now(), profiler.usage()?);
    let pieces_per_second = count(bench, fleet)?;
    let after = profiler.usage().context("failed to keep the profiler at work for the whole window")?;
    let seconds = begin.elapsed().as_secs_f64();
    let map_bytes = if let Sampler::Punchclock(_) = sampler { programs::map_bytes(profiler.pid)? } else { 0 };

    let cpu_ns = after.cpu_ns - before.cpu_ns;
    let (at_the_end, samples_per_second) = profiler.end(after)?;
    Ok(Window {
        pieces_per_second,
        cpu: cpu_ns as f64 / 1e9 / seconds,
        cpu_around: (at_the_end.cpu_ns - cpu_ns) as f64 / 1e9,
        peak_bytes: at_the_end.peak_bytes,
        map_bytes,
        samples_per_second,
        ..Window::default()
    })
}

/// Pieces of work per second of CPU time, over one window.
fn count(bench: &Bench, fleet: &Pieces) -> Result<f64> {
    let before = fleet.done()?;
    pause(bench.plan.window)?;
    let Done { pieces, cpu_ns } = fleet.done()?;
    ensure!(cpu_ns > before.cpu_ns, "failed to have a fleet work for a whole window");
    Ok((pieces - before.pieces) as f64 / (cpu_ns - before.cpu_ns) as f64 * 1e9)
}

//! Part C: what a context switch costs when the Python stack of every wait is kept, by the kernel's own statistics,
//! while two Python processes pass a token through pipes on CPU 1.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use super::{
    Bench,
    blocked_table::section,
    held::Held,
    interrupt::pause,
    programs::{self, Program, Switches},
    read, recording, report, rotated,
    samples::{MINORS, interpreter},
    switches::followed,
    usage::Usage,
};

/// After a tool's first switch, until it is measured: what it does once is over by then.
const SETTLE: Duration = Duration::from_millis(300);

/// The share of all switches that the pair's should have, and how often that is tried.
const QUIET: f64 = 0.95;
const TRIES: usize = 8;

#[derive(Clone, Copy, PartialEq)]
pub enum Contender {
    Empty,
    Stat,
    /// With so many Python frames.
    Record(u32),
    Offcputime,
}

pub const CONTENDERS: [Contender; 5] =
    [Contender::Empty, Contender::Stat, Contender::Record(10), Contender::Record(30), Contender::Offcputime];

/// What one window showed.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    pub ns_per_switch: f64,
    pub switches_per_second: f64,
    /// Share of the pair's switches that began a wait, so have a stack.
    pub waits: f64,
    /// Share of all switches that are the pair's.
    pub theirs: f64,
    /// The tool's own CPU seconds per switch.
    pub cpu: f64,
    pub map_bytes: u64,
    pub peak_bytes: u64,
}

/// What one Python cost: a row for each round.
pub type Costs = Vec<[Cost; CONTENDERS.len()]>;

pub fn measure(bench: &Bench) -> Result<report::Section> {
    let _statistics = Held::statistics()?;
    let pythons =
        MINORS.into_iter().filter_map(|minor| Some((minor, interpreter(minor)?))).collect::<Vec<_>>();
    ensure!(!pythons.is_empty(), "failed to find a Python 3.8, 3.11 or 3.13 in pyenv or on PATH");
    let mut costs = pythons.iter().map(|&(minor, _)| (minor, Costs::new())).collect::<Vec<_>>();
    for round in 0..bench.plan.passing_rounds {
        eprintln!("bench: off-CPU, round {} of {}", round + 1, bench.plan.passing_rounds);
        for python in rotated(&(0..pythons.len()).collect::<Vec<_>>(), round) {
            let mut windows = [Cost::default(); CONTENDERS.len()];
            for index in rotated(&[0, 1, 2, 3, 4], round) {
                windows[index] = quiet(|| window(bench, &pythons[python].1, CONTENDERS[index]))?;
            }
            costs[python].1.push(windows);
        }
    }
    Ok(section(bench, &costs))
}

/// A window in which others hardly switched, or the quietest of some: their switches cost little and lower the mean.
fn quiet(window: impl Fn() -> Result<Cost>) -> Result<Cost> {
    let mut quietest = window()?;
    for _ in 1..TRIES {
        if quietest.theirs >= QUIET {
            break;
        }
        eprintln!(
            "bench: once more, for others made {:.0} % of all switches",
            (1.0 - quietest.theirs) * 100.0
        );
        quietest = [quietest, window()?]
            .into_iter()
            .max_by(|a, b| a.theirs.total_cmp(&b.theirs))
            .unwrap_or(quietest);
    }
    Ok(quietest)
}

fn window(bench: &Bench, python: &str, contender: Contender) -> Result<Cost> {
    let frames = if let Contender::Record(frames) = contender { frames } else { 10 };
    let (pair, pids) = start(bench, python, frames)?;
    let [out, punch] = ["blocked.out", "blocked.punch"].map(|name| bench.out.join(name));
    let mut command = Command::new(&bench.punchclock);
    let common = ["--json", "-d", "3600", "-p", &pids[0].to_string()];
    let tool = match contender {
        Contender::Empty => Held::start(&mut crate::exec::as_root(&bench.empty))?,
        Contender::Stat => Held::tool(command.arg("stat").args(common), &out)?,
        Contender::Record(_) => {
            Held::tool(command.arg("record").args(common).args(["--min-block", "0", "-o"]).arg(&punch), &out)?
        }
        Contender::Offcputime => Held::tool(&offcputime(pids), &out)?,
    };
    let pid = tool.pid()?;
    programs::wait_for(pid, |program| program.runs > 0 && program.is_on_switch())?;
    programs::settle(pid, SETTLE)?;

    let before = Reading::take(pid, pids)?;
    pause(bench.plan.passing)?;
    let after = Reading::take(pid, pids)?;
    let map_bytes = programs::map_bytes(pid)?;
    let status = tool.end()?;
    drop(pair);

    let Switches { ns, count: seen, .. } = programs::switches(&before.programs, &after.programs)?;
    let [switches, waits] = [after.switches - before.switches, after.waits - before.waits];
    ensure!(waits > 0, "failed to have the two processes pass their token");
    if let Contender::Stat | Contender::Record(_) = contender {
        ensure!(status.success(), "failed to follow the pair: see {}.err", out.display());
        let followed = followed(&read(&out)?)?;
        ensure!(followed >= switches, "failed to follow the pair: told of {followed} switches of {switches}");
    }
    if let Contender::Record(frames) = contender {
        let (kept, deepest) = recording::waits(&punch)?;
        ensure!(kept >= waits, "failed to keep the stacks of all {waits} waits: {kept}");
        ensure!(deepest == frames as usize, "failed to walk {frames} frames: {deepest}");
    }
    Ok(Cost {
        ns_per_switch: ns as f64 / seen as f64,
        switches_per_second: switches as f64 / (after.at - before.at).as_secs_f64(),
        waits: waits as f64 / switches as f64,
        theirs: switches as f64 / seen as f64,
        cpu: (after.usage.cpu_ns - before.usage.cpu_ns) as f64 / 1e9 / switches as f64,
        map_bytes,
        peak_bytes: after.usage.peak_bytes,
    })
}

/// Two processes that pass their token, and the PIDs of both.
fn start(bench: &Bench, python: &str, frames: u32) -> Result<(Held, [u32; 2])> {
    let said = bench.out.join("ping_pong.out");
    let pair = Held::group(&[python, "tests/workloads/ping_pong.py", &frames.to_string()], &said)?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while !fs::read_to_string(&said).is_ok_and(|said| said.contains("ready\n")) {
        ensure!(Instant::now() < deadline, "failed to start {python}: see {}.err", said.display());
        pause(Duration::from_millis(10))?;
    }
    let first = pair.pid()?;
    let children = read(Path::new(&format!("/proc/{first}/task/{first}/children")))?;
    let second = children.trim().parse().with_context(|| format!("failed to find one child of {first}"))?;
    Ok((pair, [first, second]))
}

/// BCC's `offcputime` of both processes, or of one with versions that take no more.
fn offcputime([first, second]: [u32; 2]) -> Command {
    let mut command = Command::new("offcputime");
    if report::said(Command::new("offcputime").arg("--help")).contains("comma") {
        command.args(["-p", &format!("{first},{second}")]);
    }
    command
}

/// What was counted until an instant.
struct Reading {
    at: Instant,
    switches: u64,
    waits: u64,
    usage: Usage,
    programs: Vec<Program>,
}

impl Reading {
    fn take(tool: u32, pair: [u32; 2]) -> Result<Self> {
        let (mut switches, mut waits) = (0, 0);
        for pid in pair {
            let status = read(Path::new(&format!("/proc/{pid}/status")))?;
            let word =
                |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
            let [voluntary, preempted] = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"]
                .map(|name| word(name).unwrap_or(0));
            waits += voluntary;
            switches += voluntary + preempted;
        }
        let at = Instant::now();
        let usage = Usage::of(tool).context("failed to keep a tool at work for the whole window")?;
        Ok(Self { at, switches, waits, usage, programs: programs::held_by(tool)? })
    }
}

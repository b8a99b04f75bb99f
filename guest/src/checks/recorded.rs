//! `record` against the kernel's books.

use std::{fs, thread};

use anyhow::{Context as _, Result, ensure};

use crate::{
    bounded::{Punchclock, Running},
    checks::exact::{WORK, Window},
    report::Numbers,
    tree::Tree,
};

/// Samples per second and CPU.
const RATE: u64 = 199;

/// What a recording is: its numbers, and its folded stacks, each with its weight.
pub struct Recorded {
    pub window: Window,
    pub stacks: Vec<(Vec<String>, u64)>,
}

impl Recorded {
    /// Records a tree while it works for a while; what the stacks are is in `shape`.
    pub fn watch(punchclock: &Punchclock, tree: &Tree, shape: &[&str]) -> Result<Self> {
        let (pid, rate, folded) = (tree.pid(), RATE.to_string(), punchclock.file("x.folded"));
        let output = folded.display().to_string();
        let arguments = ["record", "--json", "-d", "300", "-r", &rate, "-p", &pid, "-o", &output];
        let stopped = tree.stop()?;
        let before = tree.books();
        let mut record = punchclock.start(&[&arguments, shape].concat())?;
        let cpus = thread::available_parallelism().context("failed to count the CPUs")?.get();
        record.wait_until("the sampling clocks", |record| Ok(clocks(record) >= cpus))?;
        drop(stopped);
        thread::sleep(WORK);
        let _stopped = tree.stop()?;
        let after = tree.books();
        let document = record.interrupt()?.well()?.json()?;
        let folded = fs::read_to_string(&folded).context("failed to read the folded stacks")?;
        let stacks = folded.lines().map(stack).collect::<Option<_>>().context("failed to understand them")?;
        Ok(Self { window: Window::of(document, before, after), stacks })
    }
}

/// The frames' names, the outermost first, and the weight.
fn stack(line: &str) -> Option<(Vec<String>, u64)> {
    let (frames, weight) = line.rsplit_once(' ')?;
    let name = |frame: &str| frame.split(" (").next().unwrap_or_default().to_owned();
    Some((frames.split(';').map(name).collect(), weight.parse().ok()?))
}

/// How many perf events drive its programs.
fn clocks(record: &Running) -> usize {
    let files = fs::read_dir(format!("/proc/{}/fdinfo", record.tgid())).into_iter().flatten().flatten();
    let about = files.filter_map(|file| fs::read_to_string(file.path()).ok());
    about.filter(|about| about.lines().any(|line| line == "link_type:\tperf")).count()
}

/// The numbers are exact, and there is about one sample for each turn of the clock on a CPU.
pub fn is_exact(punchclock: &Punchclock, tree: &Tree, numbers: &mut Numbers) -> Result<()> {
    let recorded = Recorded::watch(punchclock, tree, &["--weight", "samples", "-n", "-k"])?;
    recorded.window.is_exact(numbers)?;
    let samples: u64 = recorded.stacks.iter().map(|(_, weight)| weight).sum();
    let on_cpu_ns = recorded.window.on_cpu_ns()?;
    let due = on_cpu_ns * RATE / 1_000_000_000;
    numbers.set("samples", samples);
    numbers.set("due", due);
    // An emulator's timers come late; by how much is its own affair.
    ensure!(samples * 4 > due, "{samples} samples of {on_cpu_ns} ns on CPUs, where {due} were due");
    Ok(())
}

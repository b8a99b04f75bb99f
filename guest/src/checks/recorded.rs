//! `record` against the kernel's books.

use std::{env, fs, thread};

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
    pub stacks: Vec<Stack>,
}

/// A folded stack: first the process, then frames, the outermost first: `function (file:line)`.
pub struct Stack {
    frames: Vec<String>,
    pub weight: u64,
}

impl Stack {
    fn of(line: &str) -> Option<Self> {
        let (frames, weight) = line.rsplit_once(' ')?;
        Some(Self { frames: frames.split(';').map(str::to_owned).collect(), weight: weight.parse().ok()? })
    }

    /// The PID in `worker 130`.
    pub fn tgid(&self) -> Option<u32> {
        self.frames.first()?.rsplit(' ').next()?.parse().ok()
    }

    /// The frames' functions.
    pub fn functions(&self) -> Vec<&str> {
        let function = |frame: &'_ String| frame.find(" (").unwrap_or(frame.len());
        self.frames.iter().skip(1).map(|frame| &frame[..function(frame)]).collect()
    }

    /// Whether a frame lies in a file of this name.
    fn is_in(&self, file: &str) -> bool {
        let place = format!(" ({file})");
        self.frames.iter().any(|frame| frame.ends_with(&place))
    }
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
        let stacks =
            folded.lines().map(Stack::of).collect::<Option<_>>().context("failed to understand them")?;
        Ok(Self { window: Window::of(document, before, after), stacks })
    }
}

/// How many perf events drive its programs.
fn clocks(record: &Running) -> usize {
    let files = fs::read_dir(format!("/proc/{}/fdinfo", record.tgid())).into_iter().flatten().flatten();
    let about = files.filter_map(|file| fs::read_to_string(file.path()).ok());
    about.filter(|about| about.lines().any(|line| line == "link_type:\tperf")).count()
}

/// The numbers are exact, there is a sample for about each turn of the clock on a CPU, and the address at which it was taken is
/// one of the workload's.
pub fn is_exact(punchclock: &Punchclock, tree: &Tree, numbers: &mut Numbers) -> Result<()> {
    let recorded = Recorded::watch(punchclock, tree, &["--weight", "samples", "-n", "-k"])?;
    recorded.window.is_exact(numbers)?;
    let samples: u64 = recorded.stacks.iter().map(|stack| stack.weight).sum();
    let program = env::current_exe().context("failed to find this program")?;
    let program = program.file_name().unwrap_or_default().to_string_lossy();
    let native: u64 =
        recorded.stacks.iter().filter(|stack| stack.is_in(&program)).map(|stack| stack.weight).sum();
    let on_cpu_ns = recorded.window.on_cpu_ns()?;
    let due = on_cpu_ns * RATE / 1_000_000_000;
    numbers.set("samples", samples);
    numbers.set("due", due);
    numbers.set("native", native);
    // An emulator's timers come late; by how much is its own affair.
    ensure!(samples * 4 > due, "{samples} samples of {on_cpu_ns} ns on CPUs, where {due} were due");
    // The others were in the vDSO, or in the kernel's own work.
    ensure!(native * 4 > samples * 3, "{native} of {samples} samples are in {program}");
    Ok(())
}

//! What is watched: processes that work, or wait for something that never comes. They are killed in the end.

use std::{
    fs,
    hint::black_box,
    io::{self, BufRead as _, BufReader, Read as _},
    process::{self, Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::sys;

/// How long a busy process spins before it sleeps for a moment.
const TURN: Duration = Duration::from_millis(5);

/// How many children `lives` has, one after the other, and how each ends.
pub const BRIEF: usize = 20;
pub const EXIT_STATUS: i32 = 3;

/// Does what the words say.
pub fn run(words: &[&str]) -> Result<()> {
    sys::die_with_parent();
    match words {
        ["tree"] => tree(),
        ["busy"] => busy(),
        ["reader"] => reader(),
        ["locker"] => {
            locker();
            Ok(())
        }
        ["lives", path] => lives(path),
        ["brief"] => {
            spin(4 * TURN);
            process::exit(EXIT_STATUS)
        }
        other => bail!("there is no work called {}", other.join(" ")),
    }
}

/// Has children that spin for a moment, and writes down what the kernel says that they used, in µs.
fn lives(path: &str) -> Result<()> {
    for _ in 0..BRIEF {
        Command::new("/proc/self/exe").args(["work", "brief"]).status().context("failed to start a child")?;
    }
    fs::write(path, sys::children_cpu_us().to_string()).with_context(|| format!("failed to write {path}"))
}

/// Starts the others, says who they are, and sleeps.
fn tree() -> Result<()> {
    let kinds = ["busy", "busy", "busy", "busy", "reader", "locker"];
    let children = kinds.iter().map(|kind| start(kind)).collect::<Result<Vec<_>>>()?;
    let tgids: Vec<_> = children.iter().map(|child| child.id().to_string()).collect();
    println!("ready {}", tgids.join(" "));
    io::stdin().read_to_end(&mut Vec::new()).context("failed to wait for the end")?;
    Ok(())
}

fn start(kind: &str) -> Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    let started = command.args(["work", kind]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = started.with_context(|| format!("failed to start {kind}"))?;
    let mut said = String::new();
    let stdout = child.stdout.as_mut().context("failed to hear it")?;
    BufReader::new(stdout).read_line(&mut said).with_context(|| format!("failed to hear {kind}"))?;
    ensure!(said == "ready\n", "{kind} is not ready but says {said:?}");
    Ok(child)
}

fn busy() -> Result<()> {
    println!("ready");
    loop {
        spin(TURN);
        thread::sleep(Duration::from_millis(2));
    }
}

/// Uses the CPU for so long.
fn spin(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        for n in 0..2000 {
            black_box(n);
        }
    }
}

/// Waits for a byte that is never written.
fn reader() -> Result<()> {
    let (mut end, _other) = io::pipe().context("failed to make a pipe")?;
    println!("ready");
    end.read_exact(&mut [0]).context("failed to read from the pipe")
}

/// Waits for a lock that is never released; so does nobody else, but the process has a second thread for it.
fn locker() {
    let lock = Arc::new(Mutex::new(()));
    let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
    let waiter = Arc::clone(&lock);
    let thread = thread::spawn(move || drop(waiter.lock()));
    println!("ready");
    drop(thread.join());
}

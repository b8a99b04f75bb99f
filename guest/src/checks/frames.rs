//! Python's frames against a chain of calls that is known.

use std::{path::Path, process::Command};

use anyhow::{Result, ensure};

use crate::{bounded::Punchclock, checks::recorded::Recorded, report::Numbers, tree::Tree};

/// The tree in Python.
const CHAIN: &str = include_str!("chain.py");

/// How each busy process calls; under the last it calls `fib` again and again.
pub const CALLS: [&str; 6] = ["<module>", "main", "child", "outer", "middle", "leaf"];

/// The part of an interpreter's name that tells its version.
pub fn version(python: &Path) -> String {
    let name = python.file_name().unwrap_or_default().to_string_lossy();
    name.trim_start_matches("python").to_owned()
}

/// Starts the tree.
pub fn tree(python: &Path) -> Result<Tree> {
    let mut command = Command::new(python);
    // Nothing is imported that is not asked for.
    Tree::start(command.args(["-I", "-S", "-c", CHAIN]))
}

/// The Python frames of each sample of a busy process are a beginning of the chain: nothing is missing, and nothing is between.
pub fn are_whole(punchclock: &Punchclock, tree: &Tree, numbers: &mut Numbers) -> Result<()> {
    let recorded = Recorded::watch(punchclock, tree, &["--weight", "samples"])?;
    recorded.window.is_exact(numbers)?;
    let (mut whole, mut samples, mut other) = (0, 0, Vec::new());
    // The root of a stack names the process: `worker 130`.
    let of_busy = |frames: &[String]| {
        let tgid = frames.first().and_then(|root| root.rsplit(' ').next()?.parse().ok());
        tgid.is_some_and(|tgid| tree.busy().contains(&tgid))
    };
    for (frames, weight) in recorded.stacks.iter().filter(|(frames, _)| of_busy(frames)) {
        samples += weight;
        if is_whole(frames) {
            whole += weight;
        } else {
            other.push(format!("{weight} × {}", frames.join(";")));
        }
    }
    numbers.set("samples", samples);
    numbers.set("whole", whole);
    other.truncate(3);
    ensure!(
        samples > 0 && whole * 1000 >= samples * 999,
        "{whole} of {samples} are whole; not {}",
        other.join(", ")
    );
    Ok(())
}

/// Whether a stack is the chain, as far as it goes.
fn is_whole(frames: &[String]) -> bool {
    let frames = frames.get(1..).unwrap_or_default();
    let called = frames.len().min(CALLS.len());
    called >= 3 && frames[..called] == CALLS[..called] && frames[called..].iter().all(|name| name == "fib")
}

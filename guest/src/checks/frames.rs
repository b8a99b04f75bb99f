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
    let is_busy = |tgid| tree.busy().contains(&tgid);
    for stack in recorded.stacks.iter().filter(|stack| stack.tgid().is_some_and(is_busy)) {
        let functions = stack.functions();
        samples += stack.weight;
        if is_whole(&functions) {
            whole += stack.weight;
        } else {
            other.push(format!("{} × {}", stack.weight, functions.join(";")));
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
fn is_whole(functions: &[&str]) -> bool {
    let called = functions.len().min(CALLS.len());
    called >= 3
        && functions[..called] == CALLS[..called]
        && functions[called..].iter().all(|name| *name == "fib")
}

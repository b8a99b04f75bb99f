//! Processes that are born and end in a window, against what the kernel told their parent.

use std::{env, fs};

use anyhow::{Context as _, Result, ensure};

use crate::{
    bounded::Punchclock,
    checks::document::{counter, workers},
    report::Numbers,
    work::{BRIEF, EXIT_STATUS},
};

/// `record -- COMMAND` tells each child of the command, its exit status and its CPU time.
pub fn are_all_told(punchclock: &Punchclock, numbers: &mut Numbers) -> Result<()> {
    let program = env::current_exe().context("failed to find this program")?.display().to_string();
    let (truth, folded) = (punchclock.file("truth"), punchclock.file("lives.folded"));
    let [told, output] = [&truth, &folded].map(|path| path.display().to_string());
    let document =
        punchclock.json(&["record", "--json", "-o", &output, "--", &program, "work", "lives", &told])?;
    let truth = fs::read_to_string(&truth).context("failed to read what the parent was told")?;
    let truth_us: u64 = truth.parse().context("failed to understand what the parent was told")?;

    let brief: Vec<_> = workers(&document)?
        .into_iter()
        .filter(|worker| worker["death"]["exit_status"] == EXIT_STATUS && worker["born"] == true)
        .collect();
    let on_cpu_ns = brief.iter().map(|worker| counter(worker, "on_cpu_ns")).sum::<Result<u64>>()?;
    numbers.set("children", brief.len());
    numbers.set("on_cpu_ns", on_cpu_ns);
    numbers.set("parent_was_told_ns", truth_us * 1000);
    ensure!(brief.len() == BRIEF, "{} of {BRIEF} children ended with {EXIT_STATUS}", brief.len());
    // What a child uses after its parent was told, until its last switch, only punchclock sees.
    let least = truth_us * 1000;
    ensure!(
        (least..=least + least / 20).contains(&on_cpu_ns),
        "{on_cpu_ns} ns on CPUs, where the parent was told of {least}"
    );
    Ok(())
}

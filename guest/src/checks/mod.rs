//! The checks, each against what the kernel, the workload or the system call tables say; none trusts punchclock.

mod budget;
mod document;
mod exact;
mod frames;
mod lives;
mod loads;
mod recorded;
mod refusal;
mod sleep;
mod waits;

use std::path::Path;

use crate::{bounded::Punchclock, report::Report, tree::Tree};

/// Checks a kernel that cannot load the programs: punchclock says so, and what needs no kernel works.
pub fn refused(report: &mut Report, punchclock: &Punchclock) {
    report.check("refused", |numbers| refusal::is_one_sentence(punchclock, numbers));
    report.check("ps", |_| refusal::ps_works(punchclock));
}

/// What takes seconds.
pub fn quick(report: &mut Report, punchclock: &Punchclock) {
    report.check("loads", |numbers| loads::nothing_is_missing(punchclock, numbers));
    let Some(tree) = report.check("tree", |_| Tree::native()) else { return };
    if let Some(window) = report.check("stat", |_| exact::Window::watch(punchclock, &tree, &[])) {
        report.check("exact", |numbers| window.is_exact(numbers));
        report.check("budget", |numbers| budget::adds_up(punchclock, &tree, window, numbers));
    }
    report.check("record", |numbers| recorded::is_exact(punchclock, &tree, numbers));
}

/// All there is; Python's part once for each interpreter.
pub fn thorough(report: &mut Report, punchclock: &Punchclock, pythons: &[&Path]) {
    quick(report, punchclock);
    if let Some(tree) = report.check("tree", |_| Tree::native()) {
        report.check("sleep", |numbers| sleep::is_no_time(punchclock, &tree, numbers));
    }
    report.check("doctor", |_| loads::doctor_says_so(punchclock));
    report.check("lives", |numbers| lives::are_all_told(punchclock, numbers));
    for python in pythons {
        let named = |check: &str| format!("{check} {}", frames::version(python));
        let Some(tree) = report.check(&named("tree"), |_| frames::tree(python)) else { continue };
        if let Some(window) =
            report.check(&named("books"), |_| exact::Window::watch(punchclock, &tree, &["--counters-only"]))
        {
            report.check(&named("exact"), |numbers| window.is_exact(numbers));
        }
        report.check(&named("frames"), |numbers| frames::are_whole(punchclock, &tree, numbers));
        report.check(&named("off-cpu"), |numbers| waits::are_on_their_stacks(punchclock, &tree, numbers));
        report.check(&named("dump"), |numbers| waits::are_dumped(punchclock, &tree, numbers));
        report.check(&named("idle"), |numbers| waits::are_idle(punchclock, &tree, numbers));
    }
}

//! Checks of this host: what a command needs, what was found, and what helps. `doctor` and every session run the same list,
//! so that they never disagree.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    path::Path,
};

use anyhow::Context as _;
use profiler_common::config::BlockedStacks;

use crate::{
    bpf::{MapSizes, ProbePlan, Probes, SamplingClock, missing_kernel_features},
    failure::Failure,
    fleet::Fleet,
    model::{
        check::{Check, CheckStatus},
        worker::Role,
    },
    python::Interpreter,
    sys::{
        btf::Btf,
        caps::{self, Effective},
        kernel,
    },
};

/// The initial PID namespace's inode (`PROC_PID_INIT_INO`, `include/linux/proc_ns.h`).
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";
/// The oldest kernel that is meant to work; each feature is looked for besides.
const KERNEL_FLOOR: (u32, u32) = (5, 15);

/// The conditions that can be read off without loading anything.
#[must_use]
pub fn conditions() -> Vec<Check> {
    conditions_with(&Btf::of_kernel())
}

fn conditions_with(types: &io::Result<Btf>) -> Vec<Check> {
    let mut checks = vec![release(), btf(types)];
    checks.extend(capabilities());
    checks.extend([memlock(), lockdown(), pid_namespace(), kallsyms()]);
    checks
}

/// The kernel's types; or the first condition without which nothing works.
pub fn require() -> anyhow::Result<Btf> {
    let types = Btf::of_kernel();
    for check in conditions_with(&types) {
        if let CheckStatus::Missing { needed_for, fix } = check.status {
            let what = format!("{}: {}, needed for {needed_for}", check.name, check.found);
            return Err(Failure::Unable { what, fix }.into());
        }
    }
    types.context("failed to read the kernel's BTF")
}

/// Loads and attaches, for a moment, every program that a verb loads: a check a verb, and one of the sampling clock. Wants
/// a tokio runtime.
#[must_use]
pub fn verbs() -> Vec<Check> {
    let sizes = MapSizes { processes: 16, stacks: 16, ring_bytes: 1 << 16 };
    let counters_only = ProbePlan::counters_only(sizes);
    let stat = ProbePlan { waits: true, blocked: BlockedStacks::Python, ..counters_only };
    let record = ProbePlan { blocked: BlockedStacks::All, native: true, is_for_stacks: true, ..stat };
    let open = |plan| require().and_then(|types| Probes::open(types, plan));
    let snapshot = |plan| {
        let mut probes = open(plan)?;
        probes.snapshot().map(|_| probes)
    };
    let mut checks = vec![match snapshot(stat) {
        Ok(Probes { without_stacks: None, .. }) => Check::ok(STAT, "its programs load and attach"),
        Ok(Probes { without_stacks: Some(why), .. }) => {
            Check::degraded(STAT, why, "telling waits for work from other waits", UPGRADE)
        }
        Err(error) => refused(STAT, &error, "stat, but for `stat --counters-only`"),
    }];
    // It loads nothing but a part of the same, so it is only asked where that does not do.
    if checks.iter().any(Check::is_missing) {
        checks.push(match snapshot(counters_only) {
            Ok(_) => Check::ok(STAT_COUNTERS_ONLY, "its programs load and attach"),
            Err(error) => refused(STAT_COUNTERS_ONLY, &error, "every verb but ps, report and compare"),
        });
    }
    match open(record).and_then(|mut probes| probes.sample(99)) {
        Ok(clock) => checks.extend([Check::ok(STACKS, "their programs load and attach"), sampling(clock)]),
        Err(error) => checks.push(refused(STACKS, &error, "record, dump and audit")),
    }
    checks
}

/// What works of each verb that looks at processes, by the checks of [`verbs`]; without these, none that loads programs.
#[must_use]
pub fn summary(checks: &[Check]) -> String {
    let works = |name: &str| checks.iter().any(|check| check.name == name && !check.is_missing());
    let mut words = vec!["ps ✓".to_owned()];
    for (verb, name) in [
        ("stat", STAT),
        ("stat --counters-only", STAT_COUNTERS_ONLY),
        ("record", STACKS),
        ("dump", STACKS),
        ("audit", STACKS),
    ] {
        // Only asked about where `stat` does not work.
        if verb != "stat --counters-only" || !works(STAT) {
            words.push(format!("{verb} {}", if works(name) { '✓' } else { '✗' }));
        }
    }
    words.join("  ")
}

const STAT: &str = "stat";
const STAT_COUNTERS_ONLY: &str = "stat --counters-only";
/// The verbs that are of no use without stacks.
const STACKS: &str = "record, dump, audit";
const UPGRADE: &str = "upgrade the kernel, or send this log to punchclock's authors";

fn refused(name: &str, error: &anyhow::Error, needed_for: &str) -> Check {
    match error.downcast_ref::<Failure>() {
        Some(failure @ Failure::Refused { .. }) => {
            Check::missing(name, failure.with_its_log(), needed_for, UPGRADE)
        }
        Some(Failure::Unable { fix, .. }) => Check::missing(name, error.to_string(), needed_for, fix),
        _ => Check::missing(name, format!("{error:#}"), needed_for, "run it as root: sudo punchclock doctor"),
    }
}

fn sampling(clock: SamplingClock) -> Check {
    match clock {
        SamplingClock::CpuCycles => Check::ok("perf event", "cpu-cycles (hardware)"),
        SamplingClock::CpuClock => Check::degraded(
            "perf event",
            "cpu-clock (timer)",
            "samples of kernel code that runs with interrupts off; a virtual machine without a hardware counter has only this",
            "nothing to be done on this host",
        ),
    }
}

/// Whether each fleet's interpreters can be walked.
#[must_use]
pub fn interpreters(fleets: &[Fleet]) -> Vec<Check> {
    let checks = fleets.iter().map(|fleet| {
        let name = format!("{} {}", fleet.server, fleet.name);
        // What its workers start besides need not be Python.
        let pythons =
            fleet.members.iter().filter(|member| member.role != Role::Helper || member.python.is_some());
        let results: Vec<_> = pythons.map(|member| (member.tgid, Interpreter::of(member.tgid))).collect();
        let refused = results.iter().find_map(|(tgid, result)| Some((tgid, result.as_ref().err()?)));
        let walked = results.iter().filter_map(|(tgid, result)| Some((*tgid, result.as_ref().ok()?)));
        let also = walked.clone().find_map(|(tgid, interpreter)| interpreter.also_runs(tgid));
        match (refused, also, walked.map(|(_, interpreter)| interpreter).next()) {
            (Some((tgid, why)), ..) => Check::degraded(
                &name,
                format!("process {tgid}: {}", why.reason),
                "its Python frames; exact numbers, native and kernel frames remain",
                "run it on CPython 3.6 to 3.15",
            ),
            (None, Some(also), _) => Check::degraded(
                &name,
                also,
                "the Python frames of that one, whose samples and waits are counted",
                "run each interpreter in a process of its own",
            ),
            (None, None, Some(interpreter)) => {
                Check::ok(&name, format!("Python {} can be walked", interpreter.version))
            }
            (None, None, None) => Check::ok(&name, "has no processes left"),
        }
    });
    checks.collect()
}

fn release() -> Check {
    let release = kernel::release();
    if kernel::version() >= KERNEL_FLOOR {
        return Check::ok("kernel", release);
    }
    let (major, minor) = KERNEL_FLOOR;
    Check::missing("kernel", release, &format!("all programs (≥ {major}.{minor})"), "upgrade the kernel")
}

fn btf(types: &io::Result<Btf>) -> Check {
    let fix = "use a kernel built with CONFIG_DEBUG_INFO_BTF=y";
    match types {
        Err(error) => Check::missing("BTF", format!("/sys/kernel/btf/vmlinux: {error}"), "all programs", fix),
        Ok(btf) => match missing_kernel_features(btf).into_iter().next() {
            Some(feature) => {
                Check::missing("BTF", feature, "all programs", "use a distribution's kernel ≥ 5.15")
            }
            None => Check::ok("BTF", "has every tracepoint, function and field that is needed"),
        },
    }
}

fn capabilities() -> Vec<Check> {
    let effective = Effective::read();
    let check = |capability: caps::Capability, needed_for: &str| {
        let name = format!("CAP_{}", capability.name);
        if effective.has(capability) {
            return Check::ok(&name, "effective");
        }
        let fix = "run it as root: sudo punchclock …";
        Check::missing(&name, "not effective", needed_for, fix)
    };
    vec![
        check(caps::BPF, "loading eBPF programs"),
        check(caps::PERFMON, "attaching them to the scheduler and to clocks"),
        check(caps::SYS_PTRACE, "finding interpreters and reading names in other processes' memory"),
    ]
}

fn memlock() -> Check {
    // Since 5.11 maps are charged to the memory cgroup, and our floor is above that.
    Check::ok("memlock", "no limit on maps (kernel ≥ 5.11 charges the memory cgroup)")
}

fn lockdown() -> Check {
    let state = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    match state.split(['[', ']']).nth(1) {
        Some("confidentiality") => Check::missing(
            "lockdown",
            "confidentiality",
            "reading kernel memory from eBPF",
            "boot with lockdown=integrity or without lockdown",
        ),
        Some(mode) => Check::ok("lockdown", mode),
        None => Check::ok("lockdown", "off, or not told (securityfs is not mounted)"),
    }
}

fn pid_namespace() -> Check {
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    if namespace == Path::new(INITIAL_PID_NAMESPACE) {
        return Check::ok("PID namespace", "the host's");
    }
    Check::missing(
        "PID namespace",
        format!("{}, not the host's", namespace.display()),
        "telling processes apart (the kernel counts by the host's PIDs)",
        "docker run --pid=host --privileged …",
    )
}

fn kallsyms() -> Check {
    let first =
        fs::File::open("/proc/kallsyms").map(BufReader::new).into_iter().flat_map(BufRead::lines).take(100);
    if first.map_while(Result::ok).any(|line| !line.starts_with("0000000000000000")) {
        return Check::ok("kallsyms", "shows addresses");
    }
    Check::degraded("kallsyms", "hides addresses", "names of kernel frames", "sysctl kernel.kptr_restrict=0")
}

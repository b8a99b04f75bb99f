//! What the commands need of this host, what was found, and what helps: one list for `doctor` and for every session,
//! so that they never disagree.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    path::Path,
};

use anyhow::Context as _;
use profiler_common::config::BlockedStacks;
use serde::Serialize;

use crate::{
    bpf::{Kernel, Plan, SamplingClock, Sizes, can_walk, missing_kernel_features},
    failure::Failure,
    fleet::Fleet,
    python::Interpreter,
    sys::{
        btf::Btf,
        caps::{self, Effective},
    },
};

/// The initial PID namespace's inode (`PROC_PID_INIT_INO`, `include/linux/proc_ns.h`).
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";
/// The oldest kernel that is meant to work; each feature is looked for besides.
const KERNEL_FLOOR: (u32, u32) = (5, 15);

/// How a condition stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Status {
    /// Fulfilled.
    Ok,
    /// Something is lost, the rest works.
    Degraded {
        /// What.
        lost: String,
        /// The one command that helps.
        fix: String,
    },
    /// Nothing works without it.
    Missing {
        /// What for.
        needed_for: String,
        /// The one command that helps.
        fix: String,
    },
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is about.
    pub name: String,
    /// What was found.
    pub found: String,
    /// How it stands.
    #[serde(flatten)]
    pub status: Status,
}

impl Check {
    fn ok(name: &str, found: impl Into<String>) -> Self {
        Self { name: name.to_owned(), found: found.into(), status: Status::Ok }
    }

    fn degraded(name: &str, found: impl Into<String>, lost: &str, fix: &str) -> Self {
        let status = Status::Degraded { lost: lost.to_owned(), fix: fix.to_owned() };
        Self { name: name.to_owned(), found: found.into(), status }
    }

    fn missing(name: &str, found: impl Into<String>, needed_for: &str, fix: &str) -> Self {
        let status = Status::Missing { needed_for: needed_for.to_owned(), fix: fix.to_owned() };
        Self { name: name.to_owned(), found: found.into(), status }
    }
}

/// The conditions that can be read off without loading anything.
#[must_use]
pub fn conditions() -> Vec<Check> {
    conditions_with(&Btf::of_kernel())
}

fn conditions_with(types: &io::Result<Btf>) -> Vec<Check> {
    let mut checks = vec![kernel(), btf(types)];
    checks.extend(capabilities());
    checks.extend([memlock(), lockdown(), pid_namespace(), kallsyms()]);
    checks
}

/// The kernel's types; or the first condition without which nothing works.
pub fn require() -> anyhow::Result<Btf> {
    let types = Btf::of_kernel();
    for check in conditions_with(&types) {
        if let Status::Missing { needed_for, fix } = check.status {
            let what = format!("{}: {}, needed for {needed_for}", check.name, check.found);
            return Err(Failure::Unable { what, fix }.into());
        }
    }
    types.context("failed to read the kernel's BTF")
}

/// Loads and attaches everything for a moment and looks for an event of our own. Wants a tokio runtime.
#[must_use]
pub fn smoke() -> Vec<Check> {
    let needed_for = "every command but ps and report";
    let failed = |name: &str, error: &anyhow::Error| {
        Check::missing(name, format!("{error:#}"), needed_for, "dmesg | tail")
    };
    let sizes = Sizes { processes: 16, stacks: 16, ring_bytes: 1 << 16 };
    let plan = Plan { sizes, waits: true, blocked: BlockedStacks::All, min_block_ns: 0, native: true };
    let mut kernel = match require().and_then(|types| Kernel::open(types, plan)) {
        Ok(kernel) => kernel,
        Err(error) => return vec![failed("eBPF programs", &error)],
    };
    let mut checks = vec![Check::ok("eBPF programs", "load and attach")];
    checks.push(match kernel.snapshot() {
        Ok(_) => Check::ok("task iterator", "reads the scheduler's books"),
        Err(error) => failed("task iterator", &error),
    });
    checks.push(match kernel.sample(99) {
        Ok(SamplingClock::CpuCycles) => Check::ok("perf event", "cpu-cycles (hardware)"),
        Ok(SamplingClock::CpuClock) => Check::degraded(
            "perf event",
            "cpu-clock (timer)",
            "samples of kernel code that runs with interrupts off; a virtual machine without a hardware counter has only this",
            "nothing to be done on this host",
        ),
        Err(error) => failed("perf event", &error),
    });
    checks
}

/// Whether each fleet's interpreters can be walked.
#[must_use]
pub fn interpreters(fleets: &[Fleet]) -> Vec<Check> {
    let checks = fleets.iter().map(|fleet| {
        let name = format!("{} {}", fleet.server, fleet.name);
        let results: Vec<_> =
            fleet.members.iter().map(|member| (member.tgid, Interpreter::of(member.tgid))).collect();
        let refused = results.iter().find_map(|(tgid, result)| Some((tgid, result.as_ref().err()?)));
        match (refused, results.iter().find_map(|(_, result)| result.as_ref().ok())) {
            (Some((tgid, why)), _) => Check::degraded(
                &name,
                format!("process {tgid}: {}", why.reason),
                "its Python frames; exact numbers, native and kernel frames remain",
                "run it on CPython 3.6 to 3.15",
            ),
            (None, Some(interpreter)) => {
                Check::ok(&name, format!("Python {} can be walked", interpreter.version))
            }
            (None, None) => Check::ok(&name, "has no processes left"),
        }
    });
    checks.collect()
}

fn kernel() -> Check {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= KERNEL_FLOOR {
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
                Check::missing("BTF", feature, "all programs", "use a distribution's kernel ≥ 5.17")
            }
            None if !can_walk(btf) => Check::degraded(
                "BTF",
                "the kernel has no `bpf_loop`",
                "stacks (`record`, `dump`), and telling waits for work from other waits",
                "use a kernel ≥ 5.17",
            ),
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

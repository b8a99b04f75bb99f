//! Part A: what a context switch costs with each tool's programs on `sched_switch`, by the kernel's own statistics,
//! while two processes pass a token through a pipe on CPU 1.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    Bench,
    held::{Held, Target},
    programs::{self, Switches},
    read,
    report::{self, Section},
    rotated,
    spread::Spread,
};

/// The on-CPU time of each process, as one writes it in bpftrace.
const BPFTRACE: &str = "tracepoint:sched:sched_switch { if (@at[cpu]) \
                        { @on_cpu[args->prev_pid] = sum(nsecs - @at[cpu]); } @at[cpu] = nsecs; }";

/// Runs the pipe when told to; stays, so that whoever follows it does not stop early.
const PIPE: &str =
    r#"read -r _; perf bench sched pipe --loop "$0" >/dev/null && echo passed || echo failed; read -r _"#;

#[derive(Clone, Copy, PartialEq)]
enum Contender {
    Empty,
    Untracked,
    Books,
    Tracked,
    Cpudist,
    Runqlat,
    Bpftrace,
}

const CONTENDERS: [(Contender, &str); 7] = [
    (Contender::Empty, "a program that does nothing"),
    (Contender::Untracked, "punchclock stat, another process"),
    (Contender::Books, "punchclock stat --counters-only, these"),
    (Contender::Tracked, "punchclock stat, these processes"),
    (Contender::Cpudist, "cpudist (libbpf-tools)"),
    (Contender::Runqlat, "runqlat (libbpf-tools)"),
    (Contender::Bpftrace, "bpftrace, on-CPU time by process"),
];

pub fn measure(bench: &Bench) -> Result<Section> {
    let _statistics = Held::statistics()?;
    let _tracefs = Held::tracefs()?;
    let mut rounds = Vec::new();
    for round in 0..bench.plan.switch_rounds {
        eprintln!("bench: switches, round {} of {}", round + 1, bench.plan.switch_rounds);
        let mut costs = [Cost::default(); CONTENDERS.len()];
        for contender in rotated(&CONTENDERS.map(|(contender, _)| contender), round) {
            costs[contender as usize] = window(bench, contender)?;
        }
        rounds.push(costs);
    }
    Ok(section(bench, &rounds))
}

/// What one window showed.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    /// ns per switch.
    ns: f64,
    /// Runs of programs per switch.
    runs: f64,
}

type Costs = [Cost; CONTENDERS.len()];

fn window(bench: &Bench, contender: Contender) -> Result<Cost> {
    let loops = bench.plan.round_trips;
    let mut pipe = Target::start(&["sh", "-c", PIPE, &loops.to_string()])?;
    let other = Target::start(&["sleep", "infinity"])?;
    let out = bench.out.join("switches.out");
    let tool = match contender {
        Contender::Empty => Held::start(&mut crate::exec::as_root(&bench.empty))?,
        Contender::Untracked => Held::tool(&stat(bench, &other), &out)?,
        Contender::Books => Held::tool(stat(bench, &pipe).arg("--counters-only"), &out)?,
        Contender::Tracked => Held::tool(&stat(bench, &pipe), &out)?,
        Contender::Cpudist => Held::tool(&Command::new("cpudist"), &out)?,
        Contender::Runqlat => Held::tool(&Command::new("runqlat"), &out)?,
        Contender::Bpftrace => Held::tool(Command::new("bpftrace").args(["-e", BPFTRACE]), &out)?,
    };
    let pid = tool.pid()?;
    programs::wait_for(pid, |program| program.runs > 0 && program.is_on_switch())?;
    // Also the snapshot that `stat` begins with.
    programs::settle(pid, Duration::from_millis(200))?;

    let before = programs::held_by(pid)?;
    pipe.cue()?;
    ensure!(pipe.line()? == "passed", "failed to run `perf bench sched pipe`");
    let after = programs::held_by(pid)?;
    tool.end()?;
    let Switches { ns, runs, count: switches } = programs::switches(&before, &after)?;
    // A round trip is two switches, and the few others that there were are in the mean too.
    let least = u64::from(loops) * 2;
    ensure!(switches >= least, "failed to see all {least} switches: {switches}");
    if matches!(contender, Contender::Books | Contender::Tracked) {
        let followed = followed(&read(&out)?)?;
        ensure!(
            followed >= least,
            "failed to follow the pipe: `stat` told of {followed} switches of {least}"
        );
    }
    Ok(Cost { ns: ns as f64 / switches as f64, runs: runs as f64 / switches as f64 })
}

fn stat(bench: &Bench, target: &Target) -> Command {
    let mut stat = Command::new(&bench.punchclock);
    stat.args(["stat", "--json", "-d", "3600", "-p", &target.pid().to_string()]);
    stat
}

/// The switches that `stat` charged to anyone.
pub(super) fn followed(stat: &str) -> Result<u64> {
    let stat: Value = serde_json::from_str(stat).context("failed to parse what `punchclock stat` wrote")?;
    let fleets = stat["fleets"].as_array().into_iter().flatten();
    let workers = fleets.flat_map(|fleet| fleet["workers"].as_array().into_iter().flatten());
    let switches = |worker: &Value| {
        ["voluntary_switches", "preempted_switches"]
            .map(|key| worker[key].as_u64().unwrap_or(0))
            .iter()
            .sum::<u64>()
    };
    Ok(workers.map(switches).sum())
}

fn section(bench: &Bench, rounds: &[Costs]) -> Section {
    let of = |contender: Contender| Spread::of(rounds.iter().map(|costs| costs[contender as usize].ns));
    let ratio =
        |contender, to| rounds.iter().map(move |costs| costs[contender as usize].ns / costs[to as usize].ns);
    // Each run of a program has the statistics' own cost, so each is compared with a program that does nothing.
    let nothing = Contender::Empty as usize;
    let above = |contender| {
        rounds.iter().map(move |costs: &Costs| {
            let Cost { ns, runs } = costs[contender as usize];
            ns - runs * costs[nothing].ns
        })
    };
    let rows = CONTENDERS.map(|(contender, name)| {
        vec![
            name.to_owned(),
            format!("{:.1}", of(contender)),
            format!("{:.2}", Spread::of(rounds.iter().map(|costs| costs[contender as usize].runs)).median),
            format!("{:+.1}", Spread::of(above(contender)).median),
            format!("{:.3}", Spread::of(ratio(contender, Contender::Cpudist))),
        ]
    });
    let table =
        report::table(&["programs", "ns per switch", "runs", "above nothing", "ratio to cpudist"], rows);
    let markdown = format!(
        "{table}\n\
         `perf bench sched pipe --loop {}` under `taskset --cpu-list 1`, {} rounds; `run_time_ns` and `run_cnt` from \
         `bpftool prog show --json` before and after, with `kernel.bpf_stats_enabled=1`. A tool's ns per switch is \
         the run time of all its programs over the runs of the one on `sched_switch`; the statistics' own two clock \
         reads are in each run of a program, and so *above nothing* is less a program that does nothing for each of \
         *runs*. The program that does nothing hangs beside punchclock's own, which follow nobody \
         then. `stat --counters-only` reads the kernel's own books only; `stat` also tells what each wait was for and who ended it. \
         `cpudist`, `runqlat`, `punchclock stat -p PID`, and\n`bpftrace -e '{BPFTRACE}'`.\n",
        bench.plan.round_trips,
        rounds.len(),
    );
    let books = Spread::of(ratio(Contender::Books, Contender::Cpudist)).median;
    let untracked = Spread::of(above(Contender::Untracked)).median;
    Section {
        markdown,
        targets: vec![
            report::Target::at_most(
                "a switch of a tracked process (--counters-only), of cpudist's cost,",
                0.25,
                books,
                "",
            ),
            report::Target::at_most(
                "a switch of an untracked process, above nothing,",
                15.0,
                untracked,
                " ns",
            ),
        ],
    }
}

//! Part C's table.

use super::{
    Bench,
    blocked::{CONTENDERS, Contender, Cost, Costs},
    report::{self, Section, Target},
    spread::Spread,
};

/// So many switches a second are what the profiler's own CPU is told for.
const SWITCHES: f64 = 100_000.0;

/// The table, what it took to make it, and what was reached.
pub fn section(bench: &Bench, costs: &[(u32, Costs)]) -> Section {
    let mut targets = Vec::new();
    let mut rows = Vec::new();
    for &(minor, ref rounds) in costs {
        for (index, &contender) in CONTENDERS.iter().enumerate() {
            let of =
                |value: fn(&Cost) -> f64| Spread::of(rounds.iter().map(move |costs| value(&costs[index])));
            let ratio = rounds
                .iter()
                .map(|costs| costs[index].ns_per_switch / costs[CONTENDERS.len() - 1].ns_per_switch);
            let ns = of(|cost| cost.ns_per_switch);
            let cpu = of(|cost| cost.cpu * SWITCHES * 100.0);
            let mut row = vec![
                format!("3.{minor}"),
                name(contender),
                format!("{ns:.0}"),
                format!("{:.3}", Spread::of(ratio)),
                format!("{:.0}", of(|cost| cost.switches_per_second).median),
                format!("{:.0} %", of(|cost| cost.waits * 100.0).median),
            ];
            if contender == Contender::Empty {
                row.extend(["", "", ""].map(str::to_owned));
            } else {
                row.push(format!("{cpu:.2} %"));
                row.push(format!("{:.1} MB", of(|cost| cost.map_bytes as f64 / 1e6).median));
                row.push(format!("{:.1} MB", of(|cost| cost.peak_bytes as f64 / 1e6).median));
            }
            rows.push(row);
            if contender == Contender::Record(10) && minor >= 11 {
                let what = format!("a switch with off-CPU stacks of 10 frames of Python 3.{minor}");
                let theirs = of(|cost| cost.ns_per_switch / cost.theirs.min(1.0));
                targets.push(Target::at_most(&what, 1300.0, theirs.median, " ns"));
                let what =
                    format!("punchclock's own CPU for 100,000 such switches a second of Python 3.{minor}");
                targets.push(Target::at_most(&what, 2.0, cpu.median, " % of a core"));
            }
        }
    }
    let head = [
        "Python",
        "programs",
        "ns per switch",
        "ratio to offcputime",
        "switches/s",
        "of them waits",
        "its CPU at 100,000/s",
        "maps",
        "peak resident",
    ];
    let table = report::table(&head, rows);
    let windows = || costs.iter().flat_map(|(_, rounds)| rounds).flatten();
    let theirs = Spread::of(windows().map(|cost| cost.theirs * 100.0));
    let markdown = format!(
        "{table}\n\
         `tests/workloads/ping_pong.py`, two processes that pass a token through pipes on CPU 1, with 10 Python \
         frames where nothing else is said, {} rounds of {:.1} s, with `kernel.bpf_stats_enabled=1`. A tool's ns per \
         switch is the run time of all its programs over the runs of the one on `sched_switch`; of these \
         {theirs:.1} % were switches of the two (a moment lies between the two counts), and for the target all is \
         charged to these. Only a switch that begins a wait has a stack; the others are preempted as they wake each \
         other up. The recordings hold every one of these waits, with a stack of the said depth. `stat` keeps Python \
         stacks too, to tell what waits are for. `offcputime` walks no Python frames, and takes all processes where \
         it cannot be told of two.\n",
        bench.plan.passing_rounds,
        bench.plan.passing.as_secs_f64(),
    );
    Section { markdown, targets }
}

fn name(contender: Contender) -> String {
    match contender {
        Contender::Empty => "a program that does nothing".to_owned(),
        Contender::Stat => "punchclock stat -p".to_owned(),
        Contender::Record(frames) => format!("punchclock record -p --min-block 0, {frames} frames"),
        Contender::Offcputime => "offcputime (libbpf-tools)".to_owned(),
    }
}

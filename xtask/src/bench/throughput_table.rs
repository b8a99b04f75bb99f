//! Part D's table.

use super::{
    Bench,
    profilers::Sampler,
    report::{self, Section, Target},
    spread::Spread,
    throughput::{CONTENDERS, Round, SETTLE, Window},
};

/// Where each stands in the contenders.
const NOBODY: usize = 0;
const PUNCHCLOCK_99: usize = 1;
const PUNCHCLOCK_999: usize = 4;
const PERF_999: usize = 5;

/// The table, what it took to make it, and what was reached.
pub fn section(bench: &Bench, rounds: &[Round]) -> Section {
    let of = |index: usize, value: fn(&Window) -> f64| {
        Spread::of(rounds.iter().map(|windows| value(&windows[index])))
    };
    let cpu = |index| of(index, |window| window.cpu * 100.0);
    let peak = |index| of(index, |window| window.peak_bytes as f64 / 1e6);
    let rows = CONTENDERS.iter().enumerate().map(|(index, &sampler)| {
        let mut row = vec![name(sampler), format!("{:.3}", of(index, |window| window.ratio))];
        if sampler.is_none() {
            row.extend(["", "", "", ""].map(str::to_owned));
        } else {
            row.push(format!("{:.2} %", cpu(index)));
            row.push(format!("{:.2} s", of(index, |window| window.cpu_around).median));
            row.push(format!("{:.1} MB", peak(index)));
            row.push(format!("{:.0}", of(index, |window| window.samples_per_second).median));
        }
        row
    });
    let head = [
        "recorded by",
        "work per CPU second",
        "its CPU, of a core",
        "CPU around",
        "peak resident",
        "samples/s",
    ];
    let table = report::table(&head, rows.collect::<Vec<_>>());
    let maps = of(PUNCHCLOCK_99, |window| window.map_bytes as f64 / 1e6).median;
    let pieces = of(NOBODY, |window| window.pieces_per_second);
    let py_spy = report::said(std::process::Command::new(bench.venv.join("bin/py-spy")).arg("--version"));
    let markdown = format!(
        "{table}\n\
         `tests/workloads/pieces.py`, four workers on CPU 1 that do the same piece of work over and over, {pieces:.0} of \
         them in a second of CPU time while nobody records; the profiler on CPU 0; {} rounds of {:.1} s windows that \
         begin {:.1} s after the profiler has; BPF statistics are off. *Work per CPU second* is a ratio to the mean of \
         the windows just before and just after, in which nobody recorded; so is *nobody, once more*. What a profiler \
         does in an interrupt is in the CPU time of whom it interrupts, unless the kernel keeps that apart \
         (`CONFIG_IRQ_TIME_ACCOUNTING`). *Its CPU* is what the profiler's process used in the window; *CPU around* is \
         before and after, to start and to write. Resident memory is the largest of the whole run; the kernel holds \
         {maps:.1} MB more in punchclock's maps. Rates are per CPU for punchclock and perf, and per process for py-spy. \
         `punchclock record -r HZ -p MASTER -o FILE.svg`, `py-spy record -s -r HZ -p MASTER -o FILE.svg` ({py_spy}), and \
         `perf record --cpu 1 --event cpu-clock --freq HZ`, which walks no stack: what the interrupt alone costs.\n",
        rounds.len(),
        bench.plan.window.as_secs_f64(),
        SETTLE.as_secs_f64(),
    );
    let above_perf = rounds.iter().map(|windows| windows[PUNCHCLOCK_999].ratio - windows[PERF_999].ratio);
    let recorded = of(PUNCHCLOCK_99, |window| window.ratio).median;
    Section {
        markdown,
        targets: vec![
            Target::at_least("work per CPU second, recorded at 99 Hz, of that without,", 0.99, recorded),
            Target::at_least(
                "work at 999 Hz, less that under `perf record -e cpu-clock` at 999 Hz,",
                -0.01,
                Spread::of(above_perf).median,
            ),
            Target::at_most("CPU of `record` at 99 Hz", 1.0, cpu(PUNCHCLOCK_99).median, " %"),
            Target::at_most("resident memory of `record` at 99 Hz", 30.0, peak(PUNCHCLOCK_99).median, " MB"),
        ],
    }
}

fn name(sampler: Option<Sampler>) -> String {
    match sampler {
        None => "nobody, once more".to_owned(),
        Some(Sampler::Punchclock(rate)) => format!("punchclock, {rate} Hz"),
        Some(Sampler::Perf(rate)) => format!("perf record, {rate} Hz, no stacks"),
        Some(Sampler::PySpy(rate)) => format!("py-spy, {rate} Hz"),
    }
}

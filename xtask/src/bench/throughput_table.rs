//! Part D's table.

use super::{
    Bench,
    report::{self, Section, Target},
    spread::Spread,
    throughput::{CONTENDERS, Contender, Window},
};

/// The table, what it took to make it, and what was reached.
pub fn section(bench: &Bench, rounds: &[[Window; CONTENDERS.len()]]) -> Section {
    let of = |index: usize, value: fn(&Window) -> f64| {
        Spread::of(rounds.iter().map(|windows| value(&windows[index])))
    };
    let ratio = |index: usize| {
        let to_nobody = |windows: &[Window; CONTENDERS.len()]| {
            let [first, second] = [0, 1].map(|nobody| windows[nobody].requests_per_second);
            windows[index].requests_per_second / if index < 2 { first } else { f64::midpoint(first, second) }
        };
        Spread::of(rounds.iter().map(to_nobody))
    };
    let cpu = |index| of(index, |window| window.cpu * 100.0);
    let peak = |index| of(index, |window| window.peak_bytes as f64 / 1e6);
    let rows = CONTENDERS.iter().enumerate().map(|(index, &contender)| {
        let requests = format!("{:.1}", of(index, |window| window.requests_per_second).median);
        let mut row = vec![name(index, contender), requests, format!("{:.3}", ratio(index))];
        if contender == Contender::Nobody {
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
        "requests/s",
        "ratio to nobody",
        "its CPU",
        "CPU around",
        "peak resident",
        "samples/s",
    ];
    let table = report::table(&head, rows.collect::<Vec<_>>());
    let maps = of(2, |window| window.map_bytes as f64 / 1e6).median;
    let py_spy = report::said(std::process::Command::new(bench.venv.join("bin/py-spy")).arg("--version"));
    let markdown = format!(
        "## Recording four busy Gunicorn workers\n\n{table}\n\
         Four sync workers of `tests/workloads/wsgi_app.py` on CPU 1, eight clients and the profiler on CPU 0, {} \
         rounds of {:.1} s windows that begin half a second after the profiler has; BPF statistics are off. \
         Ratios are to the mean of the round's two windows without a profiler, and of the second of these to the first. *Its CPU* \
         is of one core, in the window; *CPU around* is what it used before and after, to start and to write. Resident \
         memory is the largest of the whole run; the kernel holds {maps:.1} MB more in punchclock's maps. Rates are \
         per CPU for punchclock and per process for py-spy. `punchclock record -r HZ -p MASTER -o FILE.svg` and \
         `py-spy record -s -r HZ -p MASTER -o FILE.svg` ({py_spy}).\n",
        rounds.len(),
        bench.plan.window.as_secs_f64(),
    );
    Section {
        markdown,
        targets: vec![
            Target::at_least("requests/s, recorded at 99 Hz, of those without,", 0.99, ratio(2).median),
            Target::at_least("requests/s, recorded at 999 Hz, of those without,", 0.98, ratio(3).median),
            Target::at_most("CPU of `record` at 99 Hz", 1.0, cpu(2).median, " %"),
            Target::at_most("resident memory of `record` at 99 Hz", 30.0, peak(2).median, " MB"),
        ],
    }
}

fn name(index: usize, contender: Contender) -> String {
    match contender {
        Contender::Nobody if index == 0 => "nobody".to_owned(),
        Contender::Nobody => "nobody, once more".to_owned(),
        Contender::Punchclock(rate) => format!("punchclock, {rate} Hz"),
        Contender::PySpy(rate) => format!("py-spy, {rate} Hz"),
    }
}

//! What is said of recordings whose truth is known because they were made up: pairs by the hundred, compared and rendered as
//! the verb does it, and read as a user reads them.

use std::collections::BTreeMap;

use super::*;
use crate::{
    model::{
        accounting::Counters,
        diff::diff,
        fixture,
        profile::Sample,
        recording::Recording,
        tables::FrameKind,
        waits::Waits,
        window::{Window, WorkerWindow},
        worker::Role,
    },
    stats::random::Random,
};

const WORKERS: [(u32, f64); 2] = [(1234, 0.6), (1235, 0.4)];
const NARROW: PageOptions = PageOptions { verbose: false, width: 80, colour: false };

/// A program: what a request costs, and how far a second's requests and a whole run stray from that, as parts of it.
#[derive(Clone, Copy)]
struct Program {
    ms_per_request: f64,
    noise: f64,
    run_noise: f64,
}

impl Program {
    /// One of many: a second's requests stray by 5 to 20 %.
    fn any(random: &mut Random) -> Self {
        Self { ms_per_request: 2.0, noise: 0.05 + 0.15 * random.unit(), run_noise: 0.0 }
    }

    fn dearer(self, more: f64) -> Self {
        Self { ms_per_request: self.ms_per_request * (1.0 + more), ..self }
    }

    /// A recording of it. Seconds do not know of each other, and stray by a logarithmic normal distribution.
    fn record(self, random: &mut Random, seconds: usize) -> Recording {
        let mut recording = fixture::recording();
        let mut sums: BTreeMap<u32, Counters> = BTreeMap::new();
        let ms_per_request = self.ms_per_request * (self.run_noise * random.normal()).exp();
        for _ in 0..seconds {
            let requests = (200.0 + 30.0 * random.normal()).max(1.0).round();
            let strays = (self.noise * random.normal() - self.noise * self.noise / 2.0).exp();
            let worker = |(tgid, part): (u32, f64)| {
                let counters = Counters {
                    on_cpu_ns: (requests * ms_per_request * strays * part * 1e6) as u64,
                    ..Counters::default()
                };
                WorkerWindow { counters, ..WorkerWindow::of(tgid) }
            };
            let workers = WORKERS.map(worker).to_vec();
            for worker in &workers {
                sums.entry(worker.tgid).or_default().add(&worker.counters);
            }
            recording.windows.push(Window {
                duration_ns: 1_000_000_000,
                requests: Some(requests as u64),
                workers,
            });
        }
        recording.requests = recording.windows.iter().map(|window| window.requests).sum();
        recording.stat.duration_ns = seconds as u64 * 1_000_000_000;
        recording.stat.fleets[0].workers.retain(|worker| worker.role == Role::Worker);
        for worker in recording.stat.processes_mut() {
            (worker.counters, worker.waits) = (sums[&worker.tgid], Waits::default());
        }
        recording
    }
}

/// What a text says first.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Said {
    Differs,
    Same,
    /// With the seconds that it promises to find a tenth in.
    Undecided(Option<usize>),
}

/// Compares as the verb does, and reads what is said. Whatever it is, it is what the first row of the table says.
fn said(before: &Recording, after: &Recording) -> Said {
    let text = text(&diff(("a", before), ("b", after), None), NARROW);
    let sentence = text.lines().take_while(|line| !line.starts_with("a (")).collect::<Vec<_>>().join(" ");
    let words: Vec<_> = sentence.split(' ').collect();
    let row: Vec<_> = text
        .lines()
        .find(|line| line.starts_with("cpu_ms_per_request "))
        .unwrap()
        .split_whitespace()
        .collect();
    let [_, mark, _, _, change, "%", low, "to", high, "%"] = row[..] else { panic!("{text}") };
    let [change, low, high] =
        [change, low, high].map(|text| text.replace('−', "-").replace(',', "").parse::<f64>().unwrap());
    let said = if sentence.contains(" rose by ") || sentence.contains(" fell by ") {
        Said::Differs
    } else if sentence.contains("no difference of more than 5 %") {
        Said::Same
    } else {
        assert!(sentence.contains("undecided"), "{text}");
        let at = words.iter().position(|word| *word == "show").unwrap_or(words.len());
        Said::Undecided(
            words[..at].iter().rposition(|word| *word == "about").filter(|_| at < words.len()).map(|at| {
                let unit = match words[at + 2] {
                    "s" => 1,
                    "min" => 60,
                    _ => 3600,
                };
                words[at + 1].parse::<usize>().unwrap() * unit
            }),
        )
    };
    let is_in = |percent: f64| (-5.0..=5.0).contains(&percent);
    let is_said_by_table = match (said, mark) {
        (Said::Differs, "*") => {
            low * high > 0.0 && change.abs() >= 5.0 && sentence.contains("rose") == (low > 0.0)
        }
        (Said::Same, "=") => is_in(low) && is_in(high),
        // Ends are rounded.
        (Said::Undecided(_), "?") => low <= -4.5 || high >= 4.5,
        _ => false,
    };
    assert!(is_said_by_table, "{text}");
    said
}

/// Two recordings of so many seconds, of which the second is so much dearer.
fn pair(random: &mut Random, program: Program, seconds: usize, more: f64) -> Said {
    let before = program.record(random, seconds);
    said(&before, &program.dearer(more).record(random, seconds))
}

#[test]
fn equal_programs_are_called_different_once_in_twenty_times_at_most() {
    let mut random = Random::new(15);
    // Few seconds, noisy ones, and so quiet ones that the runs' own difference shows: 95 % of pairs differ by less than 5 %.
    for (seconds, noise) in [(8, 0.2), (15, 0.2), (15, 0.05)] {
        let run_noise = 0.05 / 1.96 / 2.0_f64.sqrt();
        let program = Program { ms_per_request: 2.0, noise, run_noise };
        let called = (0..200).filter(|_| pair(&mut random, program, seconds, 0.0) == Said::Differs).count();
        assert!(called <= 10, "{called} of 200 after {seconds} s");
    }
}

#[test]
fn a_tenth_is_found_in_the_time_that_was_promised() {
    let mut random = Random::new(16);
    let (mut promised, mut found) = (0, 0);
    while promised < 200 {
        let program = Program::any(&mut random);
        // Both who will be found dearer and who is equal are told how long it takes.
        let more = [0.0, 0.1][promised % 2];
        if let Said::Undecided(Some(seconds)) = pair(&mut random, program, 15, more) {
            promised += 1;
            found += usize::from(pair(&mut random, program, seconds, 0.1) == Said::Differs);
        }
    }
    assert!(found * 10 >= promised * 9, "{found} of {promised}");
}

#[test]
fn a_page_holds_it_and_no_line_is_too_wide() {
    let mut random = Random::new(17);
    let program = Program { ms_per_request: 2.0, noise: 0.1, run_noise: 0.0 };
    let record = |random: &mut Random, more: f64| {
        let mut recording = program.dearer(more).record(random, 15);
        recording.profile.samples.clear();
        for function in 0..40_u64 {
            let name = format!("ReverseManyToOneDescriptor.get_queryset_{function}");
            let file = "/srv/venv/lib/python3.11/site-packages/django/db/models/fields/related.py";
            let stack = fixture::stack(&mut recording.profile, &[(FrameKind::Python, &name, file, 7)]);
            let count = 300 + if function % 5 == 0 { (more * 300.0) as u64 } else { 0 };
            recording.profile.samples.push(Sample {
                tgid: 1234,
                tid: 1234,
                stack,
                count,
                ..Sample::default()
            });
        }
        recording
    };
    let (before, after) = (record(&mut random, 0.0), record(&mut random, 2.0));
    let names =
        ["before", "after"].map(|name| format!("/var/lib/punchclock/recordings/of-the-shop/{name}.punch"));
    let mut diff = diff((&names[0], &before), (&names[1], &after), None);
    diff.notes =
        vec!["a note that is long enough to need a second line, as those on windows are ".repeat(2); 3];
    let page = text(&diff, NARROW);
    let widest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    assert!(page.lines().count() <= PAGE && widest(&page) <= NARROW.width, "{page}");
    assert!(page.starts_with("CPU per request rose by "), "{page}");
    assert!(page.contains("4 changed: -v") && page.contains("2 more notes: -v"), "{page}");
    // Of all there is more, and as little of it is too wide.
    let all = text(&diff, PageOptions { verbose: true, ..NARROW });
    assert!(all.lines().count() > PAGE + 30 && widest(&all) <= NARROW.width, "{all}");
    assert!(all.matches("note: ").count() == 3 && !all.contains(" more n"), "{all}");
    // A column of marks that has none is no narrower.
    diff.functions.iter_mut().for_each(|function| function.is_real = false);
    let unmarked = text(&diff, PageOptions { verbose: true, ..NARROW });
    assert!(widest(&unmarked) <= NARROW.width, "{unmarked}");
    let wide = text(&diff, PageOptions { width: 120, verbose: true, ..NARROW });
    assert!(wide.contains("total before") && widest(&wide) <= 120, "{wide}");
}

#[test]
fn names_in_a_comparison_are_no_markup() {
    let one = fixture::recording();
    let diff = diff(("a.punch", &one), ("b|<i>.punch", &one), None);
    let text = text(&diff, PageOptions { verbose: true, ..NARROW });
    assert!(text.contains("\na.punch (") && text.contains("cpu_ms_per_second"), "{text}");
    assert!(text.contains("loads (json/__init__.py)"), "{text}");
    assert!(text.contains("the windows do not tell") && text.contains("note: no intervals"), "{text}");
    let markdown = markdown(&diff, true);
    assert!(markdown.contains("b\\|\\<i\\>.punch"), "{markdown}");
    let columns = |row: &str| row.replace("\\|", "").matches('|').count();
    let rows: Vec<_> = markdown.lines().filter(|line| line.starts_with("| ")).collect();
    assert!(rows.iter().all(|row| [7, 9].contains(&columns(row))), "{markdown}");
}

//! A flame graph as SVG: zoom and search work in any browser, without a network.

use profiler_common::wait::Reason;

use crate::{
    model::{recording::Recording, worker::Role},
    render::{
        graph::{
            fold::{self, Folded, GraphOptions, TimeKind, Weight},
            folded, imports, palette,
            svg::{self, Caption},
            wait_times::{self, FoldedWaits},
        },
        term::escape,
    },
    units,
};

/// Draws a recording.
pub fn svg(recording: &Recording, graph: GraphOptions) -> anyhow::Result<Vec<u8>> {
    let folded = boxes(recording, graph);
    let mut options = svg::options(graph.inverted);
    (options.count_name, options.factor) = unit(&folded, graph);
    let mut palette = palette::palette(&folded);
    options.palette_map = Some(&mut palette);
    let caption = Caption {
        title: title(recording, graph),
        lines: vec![subtitle(recording, &folded, graph)],
        legend: palette::legend(&folded),
    };
    let lines: Vec<String> =
        folded.iter().rev().map(|(stack, value)| format!("{} {value}", folded::joined(stack))).collect();
    let empty = match graph.time {
        TimeKind::OnCpu => "[nothing ran in this window] 1",
        TimeKind::OffCpu | TimeKind::Wall => "[nothing waited in this window] 1",
    };
    let svg = svg::draw(&mut options, &caption, &lines, empty)?;
    Ok(with_singulars(&svg, &options.count_name).into_bytes())
}

/// What is drawn: merged stacks, without ladders of imports, and with what is told of waits.
fn boxes(recording: &Recording, graph: GraphOptions) -> Folded {
    let (folded, of_waits) = fold::fold_with_waits(recording, graph);
    let mut waits = FoldedWaits::new();
    for (mut stack, times) in of_waits {
        imports::collapse_stack(&mut stack);
        wait_times::add(&mut waits, stack, &times);
    }
    wait_times::told(imports::collapse(folded), &waits)
}

/// inferno knows one form of a unit's name: `(1 samples, 0.5%)</title>`.
fn with_singulars(svg: &str, unit: &str) -> String {
    let Some(singular) = unit.strip_suffix('s').filter(|_| unit != "ms" && unit != "µs") else {
        return svg.to_owned();
    };
    let [plural, singular] = [unit, singular].map(|unit| format!("(1 {unit}, "));
    let mut parts = svg.split(&plural);
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // A frame may have that in its name, but not before a share that ends its title.
        let is_value = part.split_once("%)</title>").is_some_and(|(share, _)| share.parse::<f64>().is_ok());
        told += if is_value { &singular } else { &plural };
        told += part;
    }
    told
}

fn title(recording: &Recording, graph: GraphOptions) -> String {
    let Recording { profile, stat, .. } = recording;
    let name = match stat.fleets.as_slice() {
        [] => "no fleet".to_owned(),
        [fleet] => escape::frame(&format!("{} {}", fleet.server, fleet.name)),
        fleets => units::counted(fleets.len() as u64, "fleet"),
    };
    let processes = stat.processes();
    let workers = processes.filter(|worker| worker.role == Role::Worker).count();
    let samples = profile.samples.iter().map(|sample| sample.count).sum();
    let (workers, seconds) = (units::counted(workers as u64, "worker"), units::seconds(stat.duration_ns));
    let sampled = format!("at {} Hz · {}", profile.rate_hz, units::counted(samples, "sample"));
    match graph.time {
        TimeKind::OnCpu => format!("{name} · {workers} · {seconds} {sampled}"),
        TimeKind::OffCpu => format!("{name} · {workers} · {seconds} · off CPU"),
        TimeKind::Wall => format!("{name} · {workers} · {seconds} of wall time {sampled}"),
    }
}

fn subtitle(recording: &Recording, folded: &Folded, graph: GraphOptions) -> String {
    let total = units::span(folded.values().sum());
    let workers = recording.stat.processes();
    let idle_ns =
        workers.map(|worker| worker.waits.blocked[Reason::Idle as usize].ns + worker.waits.parked_ns()).sum();
    let idle = if graph.idle || idle_ns == 0 {
        String::new()
    } else {
        format!("; {} of waiting for work are left out", units::span(idle_ns))
    };
    match (graph.weight, graph.time) {
        (Weight::Time, TimeKind::OnCpu) => {
            format!("{total} on CPU: each worker's stacks are scaled to its exact on-CPU time")
        }
        (Weight::Time, TimeKind::OffCpu) => {
            format!("{total} blocked, measured from switch to wake-up{idle}")
        }
        (Weight::Time, TimeKind::Wall) => {
            format!("{total}: on CPU sampled and scaled, waits measured{idle}")
        }
        (Weight::Samples, TimeKind::OnCpu) => "raw samples: not scaled to on-CPU time".to_owned(),
        (Weight::Samples, TimeKind::OffCpu) => format!("number of waits{idle}"),
        (Weight::Samples, TimeKind::Wall) => format!("raw samples, and number of waits{idle}"),
    }
}

/// The unit of a box's value and the factor that leads to it: milliseconds, or finer if there are few.
fn unit(folded: &Folded, graph: GraphOptions) -> (String, f64) {
    let total: u64 = folded.values().sum();
    let (name, factor) = match graph.weight {
        Weight::Samples if graph.time == TimeKind::OffCpu => ("waits", 1.0),
        Weight::Samples => ("samples", 1.0),
        Weight::Time if total >= 1_000_000_000 => ("ms", 1e-6),
        Weight::Time => ("µs", 1e-3),
    };
    (name.to_owned(), factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{fixture, profile::Sample, tables::FrameKind},
        render::graph::fold::By,
    };

    fn draw(recording: &Recording, graph: GraphOptions) -> String {
        String::from_utf8(svg(recording, graph).unwrap()).unwrap()
    }

    #[test]
    fn its_head_says_what_it_is() {
        let svg = draw(&fixture::recording(), GraphOptions::default());
        assert!(
            svg.contains(">gunicorn wsgi_app:application · 2 workers · 1.0 s at 99 Hz · 8 samples</text>")
        );
        assert!(
            svg.contains(
                ">612 ms on CPU: each worker&#39;s stacks are scaled to its exact on-CPU time</text>"
            )
        );
        assert!(svg.contains("<title>worker 1234 (400,000 µs, 65.36%)</title>"));
        let samples =
            draw(&fixture::recording(), GraphOptions { weight: Weight::Samples, ..GraphOptions::default() });
        assert!(samples.contains("<title>worker 1234 (4 samples, 50.00%)</title>"));
        assert!(
            samples.contains("(1 sample, 12.50%)</title>") && !samples.contains("(1 samples, "),
            "{samples}"
        );
        assert!(samples.contains(">raw samples: not scaled to on-CPU time</text>"));
    }

    #[test]
    fn long_runs_are_in_milliseconds() {
        let mut recording = fixture::recording();
        recording.stat.fleets[0].workers[1].counters.on_cpu_ns = 1_500_000_000;
        assert!(draw(&recording, GraphOptions::default()).contains("<title>worker 1234 (1,500 ms, "));
    }

    #[test]
    fn hostile_names_stay_text() {
        let mut recording = fixture::recording();
        recording.stat.fleets[0].name = "</text><script>alert(1)</script>\u{0}".to_owned();
        let name = "]]><script>x\x1b[2J\u{fffe}\n;& \"'";
        let stack = fixture::stack(&mut recording.profile, &[(FrameKind::Python, name, "/<b>/x.py", 1)]);
        recording.profile.samples[0].stack = stack;
        let svg = draw(&recording, GraphOptions { by: By::Fleet, ..GraphOptions::default() });
        assert_eq!(svg.matches("<script").count(), 1);
        assert!(svg.contains(r"]]&gt;&lt;script&gt;x\x1b[2J\u{fffe}\x0a\x3b&amp;"));
        assert!(svg.chars().all(|c| c == '\n' || !c.is_control() && !"\u{fffe}\u{ffff}".contains(c)));
    }

    #[test]
    fn a_number_at_the_end_of_a_name_is_no_count() {
        let mut recording = fixture::recording();
        let names = ["work 12", "work 13"];
        let mut sample = |name| {
            let stack = fixture::stack(&mut recording.profile, &[(FrameKind::Python, name, "", 0)]);
            Sample { tgid: 1234, tid: 1234, stack, count: 1, ..Sample::default() }
        };
        recording.profile.samples = names.map(&mut sample).to_vec();
        let svg = draw(&recording, GraphOptions { weight: Weight::Samples, ..GraphOptions::default() });
        for number in [12, 13] {
            assert!(svg.contains(&format!(r"<title>work\x20{number} (1 sample, 50.00%)</title>")), "{svg}");
        }
    }

    #[test]
    fn a_function_is_not_torn_apart_by_one_whose_name_begins_alike() {
        let mut recording = fixture::recording();
        let native = |name| (FrameKind::Native, name, "", 0);
        let mut sample = |frames: &[_]| {
            let stack = fixture::stack(&mut recording.profile, frames);
            Sample { tgid: 1250, tid: 1250, stack, count: 1, ..Sample::default() }
        };
        let samples = vec![
            sample(&[native("foo")]),
            sample(&[native("foo::bar")]),
            sample(&[native("foo"), native("callee")]),
        ];
        recording.profile.samples = samples;
        let svg = draw(&recording, GraphOptions { weight: Weight::Samples, ..GraphOptions::default() });
        assert!(svg.contains("<title>foo (2 samples, 66.67%)</title>"), "{svg}");
    }

    #[test]
    fn nothing_is_a_picture_too() {
        let mut recording = fixture::recording();
        recording.profile.samples.clear();
        recording.stat.fleets.clear();
        let svg = draw(&recording, GraphOptions::default());
        assert!(svg.contains(">no fleet · 0 workers · 1.0 s at 99 Hz · 0 samples</text>"));
        assert!(svg.contains("[nothing ran in this window]"));
    }

    /// What follows in the box whose title begins so: `y`, or `fill`.
    fn attribute<'a>(svg: &'a str, title: &str, name: &str) -> &'a str {
        let (_, rest) = svg.split_once(&format!("<title>{title}")).expect(title);
        let (_, rest) = rest.split_once(&format!(" {name}=\"")).expect(name);
        rest.split_once('"').expect("it ends").0
    }

    #[test]
    fn waits_have_the_colours_of_their_reasons_beside_those_of_code() {
        let draw = |time| draw(&fixture::recording(), GraphOptions { time, ..GraphOptions::default() });
        let svg = draw(TimeKind::OffCpu);
        assert!(svg.contains(">gunicorn wsgi_app:application · 2 workers · 1.0 s · off CPU</text>"), "{svg}");
        assert!(svg.contains(" of waiting for work are left out</text>"), "{svg}");
        let socket = attribute(&svg, "[socket] 90 waits, mean 500 µs, longest 5.00 ms (45,000 µs, ", "fill");
        assert_eq!(socket, attribute(&svg, "[socket] 10 waits, mean 500 µs (5,000 µs, ", "fill"));
        assert_ne!(
            socket,
            attribute(&svg, "[gil] 40 waits, mean 500 µs, longest 5.00 ms (20,000 µs, ", "fill")
        );
        // The application is what it is elsewhere, and no package.
        let application = attribute(&svg, "application (shop/wsgi_app.py:21) (", "fill");
        let elsewhere = draw(TimeKind::OnCpu);
        assert_eq!(application, attribute(&elsewhere, "application (shop/wsgi_app.py:21) (", "fill"));
        let package = attribute(&svg, "SyncWorker.handle (gunicorn/workers/sync.py:177) (", "fill");
        assert_ne!(application, package);
        // The legend has the colour.
        assert!(svg.contains(&format!("fill=\"{socket}\" stroke=")), "{socket}");
        for word in ["application", "packages", "socket", "GIL"] {
            assert!(svg.contains(&format!(">{word}</text>")), "{word}");
        }
        let wall = draw(TimeKind::Wall);
        assert!(wall.contains("[on CPU]") && wall.contains("[run queue]") && wall.contains("[socket]"));
    }

    #[test]
    fn the_root_is_on_top_unless_it_is_asked_for_below() {
        let svg =
            |inverted| draw(&fixture::recording(), GraphOptions { inverted, ..GraphOptions::default() });
        let heights = |svg: &str| {
            ["all (", "worker 1234 (", "SyncWorker.run (", "loads (json/__init__.py:346) ("]
                .map(|title| attribute(svg, title, "y").parse::<u32>().unwrap())
        };
        assert!(heights(&svg(false)).is_sorted() && heights(&svg(true)).iter().rev().is_sorted());
    }
}

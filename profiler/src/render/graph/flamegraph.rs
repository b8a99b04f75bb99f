//! A flame graph as SVG: zoom and search work in any browser, without a network.

use inferno::flamegraph::color::{BasicPalette, Color, Palette, PaletteMap};
use profiler_common::wait::Reason;

use crate::{
    model::{recording::Recording, worker::Role},
    render::{
        graph::{
            fold::{Folded, GraphOptions, TimeKind, Weight, fold},
            folded,
            label::Tint,
            svg,
        },
        term::escape,
    },
    units,
};

/// Draws a recording.
pub fn svg(recording: &Recording, graph: GraphOptions) -> anyhow::Result<Vec<u8>> {
    let folded = fold(recording, graph);
    let mut palette = palette(&folded);
    let mut options = svg::options();
    options.title = title(recording, graph);
    options.subtitle = Some(subtitle(recording, &folded, graph));
    (options.count_name, options.factor) = unit(&folded, graph);
    if graph.time == TimeKind::OffCpu {
        // What flame graphs of waits have everywhere.
        options.colors = Palette::Basic(BasicPalette::Blue);
        options.hash = true;
    } else {
        options.palette_map = Some(&mut palette);
    }
    let lines: Vec<String> =
        folded.iter().rev().map(|(stack, value)| format!("{} {value}", folded::joined(stack))).collect();
    let empty = match graph.time {
        TimeKind::OnCpu => "[nothing ran in this window] 1",
        TimeKind::OffCpu | TimeKind::Wall => "[nothing waited in this window] 1",
    };
    let svg = svg::draw(&mut options, &lines, empty)?;
    Ok(with_singulars(&svg, &options.count_name))
}

/// inferno knows one form of a unit's name: `(1 samples, 0.5%)</title>`.
fn with_singulars(svg: &[u8], unit: &str) -> Vec<u8> {
    let Some(singular) = unit.strip_suffix('s').filter(|_| unit != "ms" && unit != "µs") else {
        return svg.to_vec();
    };
    let text = String::from_utf8_lossy(svg);
    let [plural, singular] = [unit, singular].map(|unit| format!("(1 {unit}, "));
    let mut parts = text.split(&plural);
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // A frame may have that in its name, but not before a share that ends its title.
        let is_value = part.split_once("%)</title>").is_some_and(|(share, _)| share.parse::<f64>().is_ok());
        told += if is_value { &singular } else { &plural };
        told += part;
    }
    told.into_bytes()
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
    let total = units::ms(folded.values().sum());
    let workers = recording.stat.processes();
    let idle_ns =
        workers.map(|worker| worker.waits.blocked[Reason::Idle as usize].ns + worker.waits.parked_ns()).sum();
    let idle = if graph.idle {
        String::new()
    } else {
        format!("; {} ms of waiting for work are left out", units::ms(idle_ns))
    };
    match (graph.weight, graph.time) {
        (Weight::Time, TimeKind::OnCpu) => {
            format!("{total} ms on CPU: each worker's stacks are scaled to its exact on-CPU time")
        }
        (Weight::Time, TimeKind::OffCpu) => {
            format!("{total} ms blocked, measured from switch to wake-up{idle}")
        }
        (Weight::Time, TimeKind::Wall) => {
            format!("{total} ms: on CPU sampled and scaled, waits measured{idle}")
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

/// A colour for each label: its tint's, a little darker by its text, the same in every graph.
fn palette(folded: &Folded) -> PaletteMap {
    let mut palette = PaletteMap::default();
    // The box under all roots.
    palette.insert("", shade(Tint::Root, ""));
    for label in folded.keys().flatten() {
        let shade = shade(label.tint, &label.text);
        palette.insert(&label.text, shade);
        palette.insert(folded::as_leaf(&label.text), shade);
    }
    palette
}

fn shade(tint: Tint, text: &str) -> Color {
    let lightest: [u8; 3] = match tint {
        Tint::Root => [196, 206, 220],
        Tint::Application => [255, 178, 102],
        Tint::Package => [138, 214, 204],
        Tint::Standard => [246, 224, 128],
        Tint::Native => [204, 186, 236],
        Tint::Kernel => [240, 170, 182],
        Tint::Mark => [222, 222, 222],
    };
    let darker = (fnv(text) % 36) as u8;
    let [r, g, b] = lightest.map(|part| part - darker);
    Color { r, g, b }
}

/// A hash that is the same on every machine (Fowler, Noll and Vo's 1a), folded so that its low bits are mixed.
fn fnv(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3_u64)
    });
    hash ^ (hash >> 32)
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
        assert!(svg.contains(
            ">612.00 ms on CPU: each worker&apos;s stacks are scaled to its exact on-CPU time</text>"
        ));
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

    #[test]
    fn waits_are_blue_and_say_what_is_left_out() {
        let svg =
            draw(&fixture::recording(), GraphOptions { time: TimeKind::OffCpu, ..GraphOptions::default() });
        assert!(svg.contains(">gunicorn wsgi_app:application · 2 workers · 1.0 s · off CPU</text>"), "{svg}");
        assert!(svg.contains(" ms of waiting for work are left out</text>"), "{svg}");
        let fills = svg.split("fill=\"rgb(").skip(1).filter_map(|rest| rest.split_once(')'));
        let colours =
            fills.map(|(colour, _)| colour.split(',').filter_map(|part| part.parse().ok()).collect());
        let is_blue = |colour: &Vec<u32>| colour[2] > colour[0] + 40;
        let (blue, other): (Vec<_>, Vec<_>) = colours.partition(is_blue);
        assert!(blue.len() > 5 && other.iter().all(|colour| *colour == [0, 0, 0]), "text apart: {other:?}");
        let wall =
            draw(&fixture::recording(), GraphOptions { time: TimeKind::Wall, ..GraphOptions::default() });
        assert!(wall.contains("[on CPU]") && wall.contains("[run queue]") && wall.contains("[socket]"));
    }
}

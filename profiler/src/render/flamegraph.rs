//! A flame graph as SVG: zoom and search work in any browser, without a network.

use inferno::flamegraph::{
    self, Options, TextTruncateDirection,
    color::{BackgroundColor, Color, PaletteMap},
};

use crate::{
    model::{recording::Recording, worker::Role},
    render::{
        escape, folded,
        label::Tint,
        shape::{Folded, Shape, Weight, fold},
    },
    units,
};

/// Boxes narrower than this are not drawn, in percent of the whole: a hundredth of a pixel on most screens, so
/// that zooming finds one sample in ten thousand.
const MIN_WIDTH_PERCENT: f64 = 0.01;

/// Draws a recording.
pub fn svg(recording: &Recording, shape: Shape) -> anyhow::Result<Vec<u8>> {
    let folded = fold(recording, shape);
    let mut palette = palette(&folded);
    let mut options = Options::default();
    options.title = title(recording);
    options.subtitle = Some(subtitle(&folded, shape.weight));
    (options.count_name, options.factor) = unit(&folded, shape.weight);
    options.name_type = String::new();
    options.min_width = MIN_WIDTH_PERCENT;
    options.text_truncate_direction = TextTruncateDirection::Right;
    options.bgcolors = Some(BackgroundColor::Flat(Color { r: 250, g: 250, b: 250 }));
    options.palette_map = Some(&mut palette);
    // Takes the lines in the reverse of the order given. In the other modes it sorts them as text, in which
    // `foo::bar` comes between `foo` and `foo;callee`, and tears `foo` apart.
    options.flame_chart = true;
    let lines: Vec<String> =
        folded.iter().rev().map(|(stack, value)| format!("{} {value}", folded::joined(stack))).collect();
    let empty = ["[nothing ran in this window] 1"];
    let mut svg = Vec::new();
    if lines.is_empty() {
        flamegraph::from_lines(&mut options, empty, &mut svg)?;
    } else {
        flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), &mut svg)?;
    }
    Ok(svg)
}

fn title(recording: &Recording) -> String {
    let Recording { profile, stat, .. } = recording;
    let name = match stat.fleets.as_slice() {
        [] => "no fleet".to_owned(),
        [fleet] => escape::frame(&format!("{} {}", fleet.server, fleet.name)),
        fleets => units::counted(fleets.len() as u64, "fleet"),
    };
    let processes = stat.fleets.iter().flat_map(|fleet| &fleet.workers);
    let workers = processes.filter(|worker| worker.role == Role::Worker).count();
    let samples = profile.samples.iter().map(|sample| sample.count).sum();
    format!(
        "{name} · {} · {} at {} Hz · {}",
        units::counted(workers as u64, "worker"),
        units::seconds(stat.duration_ns),
        profile.rate_hz,
        units::counted(samples, "sample"),
    )
}

fn subtitle(folded: &Folded, weight: Weight) -> String {
    let total = folded.values().sum();
    match weight {
        Weight::Cpu => {
            format!(
                "{} ms on CPU: each worker's stacks are scaled to its exact on-CPU time",
                units::ms(total)
            )
        }
        Weight::Samples => "raw samples: not scaled to on-CPU time".to_owned(),
    }
}

/// The unit of a box's value and the factor that leads to it: milliseconds, or finer if there are few.
fn unit(folded: &Folded, weight: Weight) -> (String, f64) {
    let total: u64 = folded.values().sum();
    let (name, factor) = match weight {
        Weight::Samples => ("samples", 1.0),
        Weight::Cpu if total >= 1_000_000_000 => ("ms", 1e-6),
        Weight::Cpu => ("µs", 1e-3),
    };
    (name.to_owned(), factor)
}

/// A colour for each label: its tint's, a little darker by its text, the same in every graph.
fn palette(folded: &Folded) -> PaletteMap {
    let mut palette = PaletteMap::default();
    // The box under all roots.
    palette.insert("", shade(Tint::Root, ""));
    for label in folded.keys().flatten() {
        palette.insert(&label.text, shade(label.tint, &label.text));
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
        render::shape::By,
    };

    fn draw(recording: &Recording, shape: Shape) -> String {
        String::from_utf8(svg(recording, shape).unwrap()).unwrap()
    }

    #[test]
    fn its_head_says_what_it_is() {
        let svg = draw(&fixture::recording(), Shape::default());
        assert!(
            svg.contains(">gunicorn wsgi_app:application · 2 workers · 1.0 s at 99 Hz · 8 samples</text>")
        );
        assert!(svg.contains(
            ">612.00 ms on CPU: each worker&apos;s stacks are scaled to its exact on-CPU time</text>"
        ));
        assert!(svg.contains("<title>worker 1234 (400,000 µs, 65.36%)</title>"));
        let samples = draw(&fixture::recording(), Shape { weight: Weight::Samples, ..Shape::default() });
        assert!(samples.contains("<title>worker 1234 (4 samples, 50.00%)</title>"));
        assert!(samples.contains(">raw samples: not scaled to on-CPU time</text>"));
    }

    #[test]
    fn long_runs_are_in_milliseconds() {
        let mut recording = fixture::recording();
        recording.stat.fleets[0].workers[1].counters.on_cpu_ns = 1_500_000_000;
        assert!(draw(&recording, Shape::default()).contains("<title>worker 1234 (1,500 ms, "));
    }

    #[test]
    fn hostile_names_stay_text() {
        let mut recording = fixture::recording();
        recording.stat.fleets[0].name = "</text><script>alert(1)</script>\u{0}".to_owned();
        let name = "]]><script>x\x1b[2J\u{fffe}\n;& \"'";
        let stack = fixture::stack(&mut recording.profile, &[(FrameKind::Python, name, "/<b>/x.py", 1)]);
        recording.profile.samples[0].stack = stack;
        let svg = draw(&recording, Shape { by: By::Fleet, ..Shape::default() });
        assert_eq!(svg.matches("<script").count(), 1);
        assert!(svg.contains(r"]]&gt;&lt;script&gt;x\x1b[2J\u{fffe}\x0a\x3b&amp;"));
        assert!(svg.chars().all(|c| c == '\n' || !c.is_control() && !"\u{fffe}\u{ffff}".contains(c)));
    }

    #[test]
    fn a_function_is_not_torn_apart_by_one_whose_name_begins_alike() {
        let mut recording = fixture::recording();
        let native = |name| (FrameKind::Native, name, "", 0);
        let mut sample = |frames: &[_]| {
            let stack = fixture::stack(&mut recording.profile, frames);
            Sample { tgid: 1250, tid: 1250, stack, count: 1 }
        };
        let samples = vec![
            sample(&[native("foo")]),
            sample(&[native("foo::bar")]),
            sample(&[native("foo"), native("callee")]),
        ];
        recording.profile.samples = samples;
        let svg = draw(&recording, Shape { weight: Weight::Samples, ..Shape::default() });
        assert!(svg.contains("<title>foo (2 samples, 66.67%)</title>"), "{svg}");
    }

    #[test]
    fn nothing_is_a_picture_too() {
        let mut recording = fixture::recording();
        recording.profile.samples.clear();
        recording.stat.fleets.clear();
        let svg = draw(&recording, Shape::default());
        assert!(svg.contains(">no fleet · 0 workers · 1.0 s at 99 Hz · 0 samples</text>"));
        assert!(svg.contains("[nothing ran in this window]"));
    }
}

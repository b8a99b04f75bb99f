//! A differential flame graph as SVG: what takes more on-CPU time is red, what takes less blue, each box for all that it
//! calls.
//!
//! Both recordings are divided by what they are compared by (seconds, or requests): one that is twice as long, or has twice
//! the samples, is no difference. Frames are found again on other lines. A box is as wide as the mean of both, so that what
//! only one of them runs is seen.

use std::collections::BTreeMap;

use anyhow::Result;
use inferno::flamegraph::color::{Color, PaletteMap, StrokeColor};

use crate::{
    model::{diff::Per, recording::Recording},
    render::{
        graph::{
            fold::{By, GraphOptions, fold},
            folded, imports,
            label::Label,
            palette::Legend,
            svg::{self, Caption},
        },
        term::escape,
    },
    units,
};

/// Two recordings, each with its name, and how they are drawn.
#[derive(Clone, Copy, Debug)]
pub struct ComparedRecordings<'a> {
    /// What is compared with.
    pub before: (&'a str, &'a Recording),
    /// What is compared.
    pub after: (&'a str, &'a Recording),
    /// What times are divided by.
    pub per: Per,
    /// True if the root is drawn at the bottom, not on top.
    pub inverted: bool,
}

/// On-CPU time of both, before and after, ns by unit.
type Times = [f64; 2];

/// Parts into which the width is divided.
const PARTS: f64 = 1e12;
/// Share of the whole by which a box has to change to be coloured to the half. Small boxes differ by chance.
const BY_CHANCE: f64 = 0.008;

/// Draws what differs. `None` if there is nothing to divide by.
pub fn svg(comparison: ComparedRecordings<'_>) -> Result<Option<Vec<u8>>> {
    let ComparedRecordings { before, after, per, inverted } = comparison;
    let Some(stacks) = paired([before.1, after.1], per) else { return Ok(None) };
    let total = stacks.values().fold([0.0; 2], |sum, pair| added(sum, *pair));
    let (unit, ns) = if total[0].max(total[1]) < 1e7 { ("µs", 1e3) } else { ("ms", 1e6) };
    let mean = total[0].midpoint(total[1]);
    let mut palette = PaletteMap::default();
    palette.insert("", colour(total, mean));
    let boxes = inclusive(&stacks);
    let lines = stacks.iter().rev().map(|(stack, [old, new])| {
        let labels = (1..=stack.len()).map(|depth| {
            let pair = boxes[&stack[..depth]];
            let [old, new] = pair.map(|of| digits(of / ns));
            let text = format!("{} {old} → {new} {unit}", stack[depth - 1].text);
            palette.insert(&text, colour(pair, mean));
            Label { text: text.into(), tint: stack[depth - 1].tint }
        });
        let labels: Vec<_> = labels.collect();
        format!("{} {}", folded::joined(&labels), (old.midpoint(*new) / mean * PARTS).ceil() as u64)
    });
    let lines: Vec<_> = lines.collect();
    let mut options = svg::options(inverted);
    options.stroke_color = StrokeColor::Color(Color { r: 170, g: 170, b: 170 });
    (options.count_name, options.factor) =
        (format!("{unit} per {} as the mean of both", per.name()), mean.max(1.0) / PARTS / ns);
    options.palette_map = Some(&mut palette);
    let side = |when: &str, (name, recording): (&str, &Recording), time: f64| {
        let requests = recording.requests.map(|count| format!(" · {}", units::counted(count, "request")));
        let (name, seconds) = (escape::visible(name), units::seconds(recording.stat.duration_ns));
        let (requests, time) = (requests.unwrap_or_default(), digits(time / ns));
        format!("{when}: {name} · {seconds}{requests} · {time} {unit} on CPU per {}", per.name())
    };
    let caption = Caption {
        title: format!("on-CPU time per {}: what changed", per.name()),
        lines: vec![
            side("before", before, total[0]),
            side("after", after, total[1]),
            format!(
                "Width: on-CPU time per {} of a function and all it calls, the mean of before and after.",
                per.name()
            ),
            "Colour: how much that changed; paler where a box is small, for small ones differ by chance."
                .to_owned(),
        ],
        legend: vec![legend()],
    };
    let svg = svg::draw(&mut options, &caption, &lines, "[nothing ran in these windows] 1")?;
    Ok(Some(svg.into_bytes()))
}

/// Both recordings' stacks side by side, without the roots, which may be called otherwise.
fn paired(recordings: [&Recording; 2], per: Per) -> Option<BTreeMap<Vec<Label>, Times>> {
    let mut stacks: BTreeMap<Vec<Label>, Times> = BTreeMap::new();
    for (side, recording) in recordings.into_iter().enumerate() {
        let units = per.units_of(recording)?;
        let folded = fold(recording, GraphOptions { by: By::Class, ..GraphOptions::default() });
        for (stack, ns) in imports::collapse(folded) {
            let frames: Vec<Label> = stack.into_iter().skip(1).map(without_line).collect();
            if !frames.is_empty() {
                stacks.entry(frames).or_default()[side] += ns as f64 / units;
            }
        }
    }
    Some(stacks)
}

/// The time of each box: of all stacks that begin with it and its callers.
fn inclusive(stacks: &BTreeMap<Vec<Label>, Times>) -> BTreeMap<&[Label], Times> {
    let mut boxes: BTreeMap<&[Label], Times> = BTreeMap::new();
    for (stack, pair) in stacks {
        for depth in 1..=stack.len() {
            let sum = boxes.entry(&stack[..depth]).or_default();
            *sum = added(*sum, *pair);
        }
    }
    boxes
}

const fn added(sum: Times, more: Times) -> Times {
    [sum[0] + more[0], sum[1] + more[1]]
}

/// A number with three digits at least: `0.42`, `31.5`, `420`.
fn digits(number: f64) -> String {
    units::decimal(number, if number < 9.995 { 2 } else { usize::from(number < 99.95) })
}

/// Red if it grew, blue if it shrank, of a picture that is `whole` wide.
fn colour([before, after]: Times, whole: f64) -> Color {
    let share = (after - before).abs() / (before + after + whole * BY_CHANCE).max(f64::MIN_POSITIVE);
    // By the root, for a change by a tenth is worth a look.
    let strength = share.min(1.0).sqrt();
    let [same, most] =
        [[246.0, 246.0, 246.0], if after > before { [226.0, 60.0, 44.0] } else { [36.0, 104.0, 214.0] }];
    let [r, g, b] = [0, 1, 2].map(|part| (same[part] + (most[part] - same[part]) * strength).round() as u8);
    Color { r, g, b }
}

/// Colours of wide boxes that changed so much.
fn legend() -> Legend {
    let changes = [
        ([1.0, 0.0], "only before"),
        ([2.0, 1.0], "half"),
        ([1.1, 1.0], "−10 %"),
        ([1.0, 1.0], "same"),
        ([1.0, 1.1], "+10 %"),
        ([1.0, 2.0], "twice"),
        ([0.0, 1.0], "only after"),
    ];
    let colours = changes.map(|(pair, text)| (colour(pair, 0.0), text));
    Legend { heading: "change:", colours: colours.into() }
}

/// `render (shop/views.py:12)` as `render (shop/views.py)`.
fn without_line(mut label: Label) -> Label {
    if let Some((head, line)) = label.text.strip_suffix(')').and_then(|text| text.rsplit_once(':'))
        && !line.is_empty()
        && line.bytes().all(|byte| byte.is_ascii_digit())
    {
        label.text = format!("{head})").into();
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::fixture, render::graph::label::Tint};

    #[test]
    fn lines_are_no_difference() {
        let shown = |text: &str| without_line(Label::new(text, Tint::Application)).text.to_string();
        assert_eq!(shown("f (a/b.py:12)"), "f (a/b.py)");
        for text in ["f (a/b.py)", "f", "std::f (libx.so)", "f (a:b)", "f (:)"] {
            assert_eq!(shown(text), text);
        }
    }

    fn drawn(before: &Recording, after: &Recording, per: Per) -> Option<String> {
        let (before, after) = (("a.punch", before), ("<b>.punch", after));
        let svg = svg(ComparedRecordings { before, after, per, inverted: false }).unwrap();
        svg.map(|svg| String::from_utf8(svg).unwrap())
    }

    #[test]
    fn a_longer_recording_of_the_same_is_no_difference() {
        let before = fixture::recording();
        let mut after = before.clone();
        after.absorb(&before);
        let stacks = paired([&before, &after], Per::Wall).unwrap();
        assert!(stacks.len() > 4);
        for (stack, [old, new]) in &stacks {
            // A nanosecond more or less: whole ones are dealt out.
            assert!((old - new).abs() <= 1.0, "{stack:?}: {old} and {new}");
        }
        let svg = drawn(&before, &after, Per::Wall).unwrap();
        for text in [
            ">before: a.punch · 1.0 s · 612 ms on CPU per second</text>",
            ">after: &#60;b&#62;.punch · 2.0 s · 612 ms on CPU per second</text>",
            "<title>SyncWorker.run (gunicorn/workers/sync.py) 500 → 500 ms (500 ms per second as the mean of both, ",
        ] {
            assert!(svg.contains(text), "{text} in {svg}");
        }
        assert!(drawn(&before, &after, Per::Request).is_none(), "nobody counted requests");
    }

    #[test]
    fn a_box_is_coloured_by_all_that_it_calls() {
        let before = fixture::recording();
        let mut after = before.clone();
        // `loads` twice as often, and nothing else: of 4 samples it had 2, of the 400 ms of its worker 200.
        after.profile.samples[0].count *= 2;
        after.stat.fleets[0].workers[1].counters.on_cpu_ns += 200_000_000;
        let svg = drawn(&before, &after, Per::Wall).unwrap();
        let fill = |title: &str| {
            let (_, rest) = svg.split_once(&format!("<title>{title}")).expect(title);
            let (_, rest) = rest.split_once("fill=\"rgb(").expect("a colour");
            let (colour, _) = rest.split_once(')').expect("it ends");
            let parts: Vec<u8> = colour.split(',').map(|part| part.parse().unwrap()).collect();
            i32::from(parts[0]) - i32::from(parts[2])
        };
        let leaf = fill("loads (json/__init__.py) 200 → 400 ms (");
        let caller = fill("SyncWorker.run (gunicorn/workers/sync.py) 500 → 700 ms (");
        let other = fill("[stack cut short] 100 → 100 ms (");
        assert!(leaf > caller && caller > other && other == 0, "{leaf}, {caller}, {other}");
        let blue = |[before, after]: Times| colour([before, after], 1.0).b > colour([before, after], 1.0).r;
        assert!(blue([1.0, 0.0]) && !blue([0.0, 1.0]) && !blue([1.0, 1.0]));
    }
}

//! A differential flame graph as SVG: widths are the second recording's on-CPU time, red is what grew, blue what shrank.
//!
//! Both are divided by what they are compared by (seconds, or requests) before they are subtracted: a recording that is
//! twice as long, or has twice the samples, is no difference. Frames are found again on other lines.

use std::collections::BTreeMap;

use crate::{
    model::{diff::Per, recording::Recording},
    render::{
        graph::{
            fold::{By, Folded, GraphOptions, fold},
            folded,
            label::Label,
            svg,
        },
        term::escape,
    },
};

/// A count is so many parts of a nanosecond by unit, so that rounding hides nothing.
const PARTS: f64 = 1000.0;

/// Draws what differs. `None` if there is nothing to divide by.
pub fn svg(before: &Recording, after: &Recording, per: Per) -> anyhow::Result<Option<Vec<u8>>> {
    let (Some(old), Some(new)) = (counts(before, per), counts(after, per)) else { return Ok(None) };
    let stacks: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let count = |of: &BTreeMap<String, u64>, stack: &String| of.get(stack).copied().unwrap_or(0);
    let lines: Vec<String> = stacks
        .into_iter()
        .rev()
        .map(|stack| format!("{stack} {} {}", count(&old, stack), count(&new, stack)))
        .collect();
    let mut options = svg::options();
    let name = |recording: &Recording| escape::frame(&recording.about.command);
    options.title = format!("on-CPU time per {}: what changed", per.name());
    options.subtitle = Some(format!("red: more, blue: less. From `{}` to `{}`", name(before), name(after)));
    (options.count_name, options.factor) = (format!("µs per {}", per.name()), 1e-3 / PARTS);
    svg::draw(&mut options, &lines, "[nothing ran in these windows] 1 1").map(Some)
}

/// Counts by stack, without the roots, which may be called otherwise.
fn counts(recording: &Recording, per: Per) -> Option<BTreeMap<String, u64>> {
    let units = per.units_of(recording)?;
    let folded: Folded = fold(recording, GraphOptions { by: By::Class, ..GraphOptions::default() });
    let mut counts = BTreeMap::new();
    for (stack, ns) in folded {
        let frames: Vec<Label> = stack.into_iter().skip(1).map(without_line).collect();
        if !frames.is_empty() {
            *counts.entry(folded::joined(&frames)).or_insert(0) += (ns as f64 * PARTS / units).round() as u64;
        }
    }
    Some(counts)
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

    #[test]
    fn a_longer_recording_of_the_same_is_no_difference() {
        let before = fixture::recording();
        let mut after = before.clone();
        after.absorb(&before);
        let (old, new) = (counts(&before, Per::Wall).unwrap(), counts(&after, Per::Wall).unwrap());
        assert_eq!(old.keys().collect::<Vec<_>>(), new.keys().collect::<Vec<_>>());
        for (stack, count) in &old {
            // A nanosecond more or less: whole ones are dealt out.
            assert!(new[stack].abs_diff(*count) <= PARTS as u64, "{stack}: {count} and {}", new[stack]);
        }
        let svg = String::from_utf8(svg(&before, &after, Per::Wall).unwrap().unwrap()).unwrap();
        assert!(svg.contains("application") && svg.contains("per second"));
        assert!(super::svg(&before, &after, Per::Request).unwrap().is_none(), "nobody counted requests");
    }
}

//! Colours of a flame graph's boxes, and the legend that tells what they mean.
//!
//! Pale is code, by where it comes from; strong is what a thread does or waits for. So the application is found at once,
//! in graphs of waits too.

use std::collections::BTreeSet;

use inferno::flamegraph::color::{Color, PaletteMap};
use profiler_common::wait::Reason;

use crate::{
    model::budget_state::BudgetState,
    render::{
        graph::{fold::Folded, folded, label::Tint},
        reason,
    },
};

/// Explains some colours.
#[derive(Debug)]
pub struct Legend {
    /// What they are of.
    pub heading: &'static str,
    /// Each colour with its meaning.
    pub colours: Vec<(Color, &'static str)>,
}

/// Where code comes from, in the order in which it is told.
const ORIGINS: [(Tint, &str); 7] = [
    (Tint::Application, "application"),
    (Tint::Package, "packages"),
    (Tint::Standard, "standard library"),
    (Tint::Import, "imports"),
    (Tint::Native, "native code"),
    (Tint::Kernel, "kernel"),
    (Tint::Mark, "no code"),
];

/// A colour for each label: its tint's, a little darker by its text, the same in every graph.
#[must_use]
pub fn palette(folded: &Folded) -> PaletteMap {
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

/// What the colours of a picture mean, only of those that are in it.
#[must_use]
pub fn legend(folded: &Folded) -> Vec<Legend> {
    let tints: BTreeSet<Tint> = folded.keys().flatten().map(|label| label.tint).collect();
    let seen = meanings().filter(|(tint, _)| tints.contains(tint));
    let (states, code): (Vec<_>, Vec<_>) = seen.partition(|(tint, _)| matches!(tint, Tint::State(_)));
    let row = |heading, seen: Vec<(Tint, &'static str)>| Legend {
        heading,
        colours: seen.into_iter().map(|(tint, meaning)| (middle(tint), meaning)).collect(),
    };
    let rows = [row("code:", code), row("threads:", states)];
    rows.into_iter().filter(|row| !row.colours.is_empty()).collect()
}

/// What each tint means, but that of roots, which say what they are.
pub fn meanings() -> impl Iterator<Item = (Tint, &'static str)> {
    ORIGINS.into_iter().chain(BudgetState::ALL.map(|state| (Tint::State(state), state_name(state))))
}

const fn state_name(state: BudgetState) -> &'static str {
    match state {
        BudgetState::OnCpu => "on CPU",
        BudgetState::RunQueue => "run queue",
        BudgetState::Blocked(reason) => reason::title(reason),
    }
}

const fn lightest(tint: Tint) -> [u8; 3] {
    match tint {
        Tint::Root => [196, 206, 220],
        Tint::Application => [255, 178, 102],
        Tint::Package => [138, 214, 204],
        Tint::Standard => [246, 224, 128],
        Tint::Import => [214, 222, 160],
        Tint::Native => [204, 186, 236],
        Tint::Kernel => [240, 170, 182],
        Tint::Mark => [222, 222, 222],
        Tint::State(state) => strong(state),
    }
}

/// Hues of the report's budgets, light enough for black letters.
const fn strong(state: BudgetState) -> [u8; 3] {
    match state {
        BudgetState::OnCpu => [146, 208, 60],
        BudgetState::RunQueue => [229, 92, 76],
        BudgetState::Blocked(reason) => match reason {
            Reason::Gil => [172, 124, 222],
            Reason::Lock => [228, 120, 184],
            Reason::Socket => [74, 158, 232],
            Reason::Pipe => [128, 212, 246],
            Reason::Disk => [190, 138, 84],
            Reason::Sleep => [56, 190, 136],
            Reason::Child => [128, 146, 66],
            Reason::PageFault => [138, 154, 172],
            Reason::Signal => [232, 214, 30],
            Reason::Other => [166, 176, 186],
            Reason::Idle => [206, 214, 222],
            Reason::Parked => [226, 230, 234],
        },
    }
}

/// How much darker boxes of one tint are at most.
const SHADES: u8 = 36;

fn shade(tint: Tint, text: &str) -> Color {
    match tint {
        // A state is one thing wherever it is.
        Tint::State(_) => darker(tint, 0),
        _ => darker(tint, (fnv(text) % u64::from(SHADES)) as u8),
    }
}

/// The shade of a tint by which a legend shows it.
fn middle(tint: Tint) -> Color {
    darker(tint, if matches!(tint, Tint::State(_)) { 0 } else { SHADES / 2 })
}

fn darker(tint: Tint, by: u8) -> Color {
    let [r, g, b] = lightest(tint).map(|part| part.saturating_sub(by));
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
        model::fixture,
        render::graph::fold::{GraphOptions, TimeKind, fold},
    };

    fn words(time: TimeKind) -> Vec<Vec<&'static str>> {
        let folded = fold(&fixture::recording(), GraphOptions { time, ..GraphOptions::default() });
        let words = |row: &Legend| row.colours.iter().map(|(_, text)| *text).collect();
        legend(&folded).iter().map(words).collect()
    }

    #[test]
    fn the_legend_has_what_is_in_the_picture_and_no_more() {
        let code = ["application", "packages", "standard library", "native code", "kernel"];
        let missing = "no code";
        assert_eq!(words(TimeKind::OnCpu), [[&code[..], &[missing]].concat()]);
        assert_eq!(words(TimeKind::OffCpu), [vec![code[0], code[1], missing], vec!["GIL", "socket"]]);
        let states = vec!["on CPU", "run queue", "GIL", "socket"];
        assert_eq!(words(TimeKind::Wall)[1], states);
        assert!(legend(&Folded::new()).is_empty());
    }

    #[test]
    fn no_two_meanings_share_a_colour() {
        let tints = meanings().map(|(tint, _)| tint).chain([Tint::Root]);
        let colours: Vec<_> = tints.map(middle).collect();
        for (at, one) in colours.iter().enumerate() {
            for other in &colours[at + 1..] {
                let apart = [(one.r, other.r), (one.g, other.g), (one.b, other.b)];
                let apart: u32 = apart.iter().map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
                assert!(apart >= 25, "{one:?} and {other:?}");
            }
        }
    }
}

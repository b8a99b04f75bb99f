//! The flame graphs of a report as data: the page's script draws one at a time.
//!
//! Each is a tree in preorder, a number a box and column, and all share one table of names: a sixteenth of what the
//! same pictures take as SVG. The differential ones compare each set-up with the best one, by the on-CPU time of a
//! request, or of a second where requests are not known; not by samples, of which a longer window has more.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::{
    model::{budget_state::BudgetState, recording::Recording, report::Report},
    render::{
        graph::{
            fold::{By, Folded, GraphOptions, TimeKind, fold},
            imports,
            label::{Label, Tint},
            palette,
        },
        term::escape,
    },
};

/// Boxes of all graphs together, at some fourteen bytes each: keeps the page below five megabytes.
const MAX_BOXES: usize = 220_000;
/// Boxes narrower than this share of the whole are not drawn: a tenth of a pixel on most screens.
const MIN_SHARE: u64 = 10_000;

/// All flame graphs.
#[derive(Debug, Default, Serialize)]
pub struct Flames {
    /// What is written on boxes, and which of the style sheet's colours they have.
    names: Vec<(String, usize)>,
    /// What colours mean, in the order in which they are told.
    legend: Vec<(usize, &'static str)>,
    /// Flame graphs by set-up, then by what they show.
    graphs: Vec<Graph>,
    /// Where a label stands in `names`.
    #[serde(skip)]
    index: HashMap<Label, u32>,
}

/// A flame graph.
#[derive(Debug, Default, Serialize)]
struct Graph {
    setup: String,
    kind: FlameKind,
    /// What a box's number is of: `µs`, `ns per request` …
    unit: &'static str,
    /// Who is compared with whom; only of a differential graph.
    against: Option<String>,
    /// Answers in the window, if somebody counted them.
    requests: Option<u64>,
    /// Boxes narrower than this share of the whole are left out.
    cut: f64,
    /// How deep each box lies, the root at 0.
    depths: Vec<u16>,
    /// Indexes into `names`.
    labels: Vec<u32>,
    /// Values of this set-up.
    values: Vec<u64>,
    /// Values of the set-up that is compared with; only of a differential graph.
    others: Vec<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum FlameKind {
    #[default]
    On,
    Off,
    Diff,
}

/// Stacks with their numbers here and elsewhere.
type Pairs = BTreeMap<Vec<Label>, [u64; 2]>;

impl Flames {
    /// The flame graphs of all set-ups that were recorded; `None` if none was.
    #[must_use]
    pub fn new(report: &Report) -> Option<Self> {
        let recorded = report.series.iter();
        let recorded: Vec<_> =
            recorded.filter_map(|series| Some((&series.setup, series.recording.as_ref()?))).collect();
        // The recommended one, or that which did best.
        let recommendation = report.recommendation.as_ref().map(|recommendation| &recommendation.best);
        let best_at = recorded.iter().position(|(setup, _)| Some(*setup) == recommendation).unwrap_or(0);
        let best = *recorded.get(best_at)?;
        let per_request =
            recorded.iter().all(|(_, recording)| recording.requests.is_some_and(|requests| requests != 0));
        let legend = palette::meanings().map(|(tint, meaning)| (class(tint), meaning)).collect();
        let mut flames = Self { legend, ..Self::default() };
        let budget = MAX_BOXES / (recorded.len() * 3);
        let on_cpu: Vec<_> =
            recorded.iter().map(|(_, recording)| boxes(recording, TimeKind::OnCpu)).collect();
        for ((setup, recording), folded) in recorded.iter().zip(&on_cpu) {
            let graph = |kind, unit, against| Graph {
                setup: escape::visible(&setup.name()).into_owned(),
                kind,
                unit,
                against,
                requests: recording.requests,
                ..Graph::default()
            };
            flames.add(graph(FlameKind::On, "µs", None), alone(folded), budget);
            flames.add(graph(FlameKind::Off, "µs", None), alone(&boxes(recording, TimeKind::OffCpu)), budget);
            if *setup != best.0 {
                let sides = [(folded, *recording), (&on_cpu[best_at], best.1)];
                let unit = if per_request { "ns per request" } else { "ns per second" };
                let against = Some(escape::visible(&best.0.name()).into_owned());
                flames.add(graph(FlameKind::Diff, unit, against), paired(sides, per_request), budget);
            }
        }
        Some(flames)
    }

    fn add(&mut self, mut graph: Graph, stacks: Pairs, budget: usize) {
        if stacks.is_empty() {
            return;
        }
        let boxes = tree(stacks);
        let weight = |of: &Box| of.values[0] + of.values[1];
        let total = boxes.first().map_or(0, weight);
        let mut weights: Vec<u64> = boxes.iter().map(weight).collect();
        weights.sort_unstable_by(|a, b| b.cmp(a));
        // No box is heavier than its caller, so what is left is still a tree.
        let least = weights.get(budget).map_or(0, |weight| weight + 1).max(total / MIN_SHARE);
        graph.cut = if weights.last().is_some_and(|weight| *weight < least) {
            least as f64 / total as f64
        } else {
            0.0
        };
        for of in boxes.iter().filter(|of| weight(of) >= least) {
            let label = *self.index.entry(of.label.clone()).or_insert_with_key(|label| {
                self.names.push((label.text.to_string(), class(label.tint)));
                self.names.len() as u32 - 1
            });
            graph.depths.push(of.depth);
            graph.labels.push(label);
            graph.values.push(of.values[0]);
            if graph.kind == FlameKind::Diff {
                graph.others.push(of.values[1]);
            }
        }
        self.graphs.push(graph);
    }
}

/// The number of a tint in the style sheet.
fn class(tint: Tint) -> usize {
    match tint {
        Tint::Root => 0,
        Tint::Application => 1,
        Tint::Package => 2,
        Tint::Standard => 3,
        Tint::Native => 4,
        Tint::Kernel => 5,
        Tint::Mark => 6,
        Tint::Import => 7,
        Tint::State(state) => 8 + BudgetState::ALL.iter().take_while(|before| **before != state).count(),
    }
}

/// A recording's stacks by class.
fn boxes(recording: &Recording, time: TimeKind) -> Folded {
    imports::collapse(fold(recording, GraphOptions { by: By::Class, time, ..GraphOptions::default() }))
}

/// Nanoseconds as microseconds, which are fine enough for a picture.
fn alone(folded: &Folded) -> Pairs {
    let stacks = folded.iter().map(|(stack, ns)| (stack.clone(), [ns.div_ceil(1000), 0]));
    stacks.collect()
}

/// Two set-ups' stacks side by side, each by its requests or its time.
fn paired(sides: [(&Folded, &Recording); 2], per_request: bool) -> Pairs {
    let mut pairs = Pairs::new();
    for (side, (folded, recording)) in sides.into_iter().enumerate() {
        let seconds = recording.stat.duration_ns as f64 / 1e9;
        let among = if per_request { recording.requests.unwrap_or(1) as f64 } else { seconds };
        let servers: Vec<_> =
            recording.stat.fleets.iter().map(|fleet| format!("({}/", fleet.server)).collect();
        for (stack, ns) in folded {
            pairs.entry(aligned(stack, &servers)).or_default()[side] +=
                (*ns as f64 / among.max(1e-9)).round() as u64;
        }
    }
    pairs.retain(|_, values| *values != [0, 0]);
    pairs
}

/// A stack that can be compared with another worker class's: each class calls the application by ways of its own,
/// so the stack begins behind the server's last frame before the application. What never gets there stays as it is.
fn aligned(stack: &[Label], servers: &[String]) -> Vec<Label> {
    let Some((root, frames)) = stack.split_first() else { return Vec::new() };
    let root = match &*root.text {
        role @ ("master" | "helper") => role,
        _ => "workers",
    };
    let is_server = |frame: &Label| {
        frame.tint == Tint::Package && servers.iter().any(|server| frame.text.contains(server.as_str()))
    };
    let before = frames.iter().position(|frame| frame.tint == Tint::Application).unwrap_or(frames.len());
    let behind = frames[..before].iter().rposition(is_server).map_or(0, |at| at + 1);
    let (part, frames) = if behind < frames.len() && (behind != 0 || before < frames.len()) {
        ("[application]", &frames[behind..])
    } else {
        ("[server]", frames)
    };
    let marks = [Label::new(root, Tint::Root), Label::new(part, Tint::Mark)];
    marks.into_iter().chain(frames.iter().cloned()).collect()
}

/// A box of a flame graph.
struct Box {
    depth: u16,
    label: Label,
    values: [u64; 2],
}

/// The boxes of merged stacks, each before those it called.
fn tree(stacks: Pairs) -> Vec<Box> {
    let mut boxes = vec![Box { depth: 0, label: Label::new("all", Tint::Root), values: [0, 0] }];
    // Indexes of the boxes from the root to the last one.
    let mut path = vec![0];
    for (stack, values) in stacks {
        let shared =
            path[1..].iter().zip(&stack).take_while(|(at, label)| boxes[**at].label == **label).count();
        path.truncate(1 + shared);
        for label in &stack[shared..] {
            path.push(boxes.len());
            boxes.push(Box { depth: path.len() as u16 - 1, label: label.clone(), values: [0, 0] });
        }
        for at in &path {
            boxes[*at].values[0] += values[0];
            boxes[*at].values[1] += values[1];
        }
    }
    boxes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    fn label(text: &str, tint: Tint) -> Label {
        Label::new(text, tint)
    }

    /// A graph's boxes: depth, name, this set-up's number.
    fn boxes<'a>(flames: &'a Flames, graph: &Graph) -> Vec<(u16, &'a str, u64)> {
        let name = |label: &u32| flames.names[*label as usize].0.as_str();
        let boxes = graph.depths.iter().zip(&graph.labels).zip(&graph.values);
        boxes.map(|((depth, label), value)| (*depth, name(label), *value)).collect()
    }

    fn graph<'a>(flames: &'a Flames, setup: &str, kind: FlameKind) -> &'a Graph {
        flames.graphs.iter().find(|graph| graph.setup == setup && graph.kind == kind).unwrap()
    }

    #[test]
    fn a_box_holds_what_it_calls() {
        let app = |text| label(text, Tint::Application);
        let stacks = [(vec![app("a")], 5), (vec![app("a"), app("b")], 7), (vec![app("ab")], 11)];
        let mut flames = Flames::default();
        flames.add(Graph::default(), stacks.map(|(stack, value)| (stack, [value, 0])).into(), 100);
        let expected = [(0, "all", 23), (1, "a", 12), (2, "b", 7), (1, "ab", 11)];
        assert_eq!(boxes(&flames, &flames.graphs[0]), expected);
    }

    #[test]
    fn there_are_never_more_boxes_than_there_is_room_for() {
        let stack = |at: u64| (vec![label(&format!("f{at}"), Tint::Application)], [at, 0]);
        let mut flames = Flames::default();
        flames.add(Graph::default(), (1..=100).map(stack).collect(), 11);
        let graph = &flames.graphs[0];
        assert_eq!(graph.values, [5050, 100, 91, 92, 93, 94, 95, 96, 97, 98, 99]);
        assert!((graph.cut - 91.0 / 5050.0).abs() < 1e-9, "{}", graph.cut);
    }

    #[test]
    fn on_cpu_is_the_exact_time_and_each_other_set_up_is_compared_with_the_best() {
        let report = fixture::report();
        let flames = Flames::new(&report).unwrap();
        let kinds: Vec<_> = flames.graphs.iter().map(|graph| (graph.setup.as_str(), graph.kind)).collect();
        let (best, other) = ("sync × 2", "gthread × 2");
        assert_eq!(
            kinds,
            [
                (best, FlameKind::On),
                (best, FlameKind::Off),
                (other, FlameKind::On),
                (other, FlameKind::Off),
                (other, FlameKind::Diff)
            ]
        );
        // 612 ms, see the fixture; a box's part of a microsecond counts as one.
        let total = graph(&flames, best, FlameKind::On).values[0];
        assert!((612_000..612_010).contains(&total), "{total}");
        assert_eq!(graph(&flames, other, FlameKind::Diff).against.as_deref(), Some(best));
        let mut none = report;
        none.series.iter_mut().for_each(|series| series.recording = None);
        assert!(Flames::new(&none).is_none());
    }

    #[test]
    fn differences_are_of_a_request_not_of_samples() {
        let mut report = fixture::report();
        // The same stacks and times, of half as many requests: each takes twice as long.
        report.series[1].recording.as_mut().unwrap().requests = Some(500);
        let flames = Flames::new(&report).unwrap();
        let diff = graph(&flames, "gthread × 2", FlameKind::Diff);
        assert_eq!(diff.unit, "ns per request");
        assert_eq!((diff.values[0], diff.others[0]), (1_224_000, 612_000));
        assert!(diff.values.iter().zip(&diff.others).all(|(mine, other)| mine.abs_diff(other * 2) <= 1));
        // Where they are not known, of a second.
        report.series[0].recording.as_mut().unwrap().requests = None;
        let flames = Flames::new(&report).unwrap();
        let diff = graph(&flames, "gthread × 2", FlameKind::Diff);
        assert_eq!((diff.unit, diff.values[0], diff.others[0]), ("ns per second", 612_000_003, 612_000_003));
    }

    #[test]
    fn classes_meet_in_the_application() {
        let servers = ["(gunicorn/".to_owned()];
        let package = |text| label(text, Tint::Package);
        let library = |text| label(text, Tint::Standard);
        let application =
            [package("wsgi_app (flask/app.py:3)"), label("view (shop.py:9)", Tint::Application)];
        let through = |class: &str, before: &[Label]| {
            let root = label(class, Tint::Root);
            let stack = [&[root], before, &application[..]].concat();
            aligned(&stack, &servers)
        };
        let sync = through("sync", &[package("handle (gunicorn/workers/sync.py:7)")]);
        let pool = [
            library("_worker (concurrent/futures/thread.py:8)"),
            package("handle (gunicorn/workers/gthread.py:5)"),
        ];
        assert_eq!(sync, through("gthread", &pool));
        let texts: Vec<_> = sync.iter().map(|label| &*label.text).collect();
        assert_eq!(texts, ["workers", "[application]", "wsgi_app (flask/app.py:3)", "view (shop.py:9)"]);
        // The server's own time stays where it is, and a master is no worker.
        let own = aligned(&[&[label("master", Tint::Root)], &pool[..]].concat(), &servers);
        let texts: Vec<_> = own.iter().map(|label| &*label.text).collect();
        assert_eq!(texts[..3], ["master", "[server]", "_worker (concurrent/futures/thread.py:8)"]);
    }
}

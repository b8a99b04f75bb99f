//! Chooses the plots of a report.

use anyhow::Result;

use crate::{
    model::{
        budget_state::BudgetState,
        estimate::Estimate,
        report::{Point, Report, Series, Usl},
    },
    render::{
        report::{
            html::{
                axis::Axis,
                chart::{self, LARGE, LineChart, PlotLine, PlotSize, SMALL},
            },
            tables, words,
        },
        term::escape,
    },
    units,
};

/// A plot.
#[derive(Clone, Debug)]
pub struct Plot {
    /// What it shows, and in which unit.
    pub title: String,
    /// How to read it.
    pub caption: &'static str,
    /// Numbers of the plot in words, for those who cannot see it.
    pub description: String,
    /// The elements inside of its `svg`, of its size.
    pub elements: String,
    /// Width and height of the plot.
    pub size: PlotSize,
}

/// The points of a fitted curve that are drawn.
const CURVE_POINTS: u32 = 60;

/// Throughput by load.
pub fn throughput(report: &Report) -> Result<Option<Plot>> {
    let axis = levels(report);
    let line = |(at, series): (usize, &Series)| {
        let last = series.points.iter().map(|point| point.level).fold(0.0, f64::max);
        let first = series.points.iter().map(|point| point.level).fold(last, f64::min);
        // Below one at a time the law says nothing.
        let from = if axis.is_log() { first } else { first.min(1.0) };
        let fitted = |usl: &Usl| {
            let levels = axis.between(from, last, CURVE_POINTS);
            levels.map(|level| (level, usl.throughput(level).max(0.0))).collect()
        };
        PlotLine {
            curve: series.usl.as_ref().map(fitted).unwrap_or_default(),
            ring: series.knee.as_ref().map(|knee| (knee.level, knee.throughput)),
            ..measured(at, series, |point| Some(point.throughput))
        }
    };
    let lines: Vec<_> = report.series.iter().enumerate().map(line).collect();
    let caption = match (
        lines.iter().any(|line| !line.curve.is_empty()),
        lines.iter().any(|line| line.ring.is_some()),
    ) {
        (true, true) => {
            "Curves: the fitted Universal Scalability Law. Bars: 95 % intervals. Rings: the knee, where more load \
             brings no more."
        }
        (true, false) => "Curves: the fitted Universal Scalability Law. Bars: 95 % intervals.",
        (false, true) => "Bars: 95 % intervals. Rings: the knee, where more load brings no more.",
        (false, false) => "Bars: 95 % intervals.",
    };
    Sketch { title: "Throughput, answers per second", caption, lines, ..Sketch::default() }
        .draw(report, LARGE)
}

/// All other lines over load: those of which there are numbers.
pub fn others(report: &Report) -> Result<Vec<Plot>> {
    let by = |is_dashed: bool, number: fn(&Point) -> Option<Estimate>| {
        let line = move |(at, series)| PlotLine { is_dashed, ..measured(at, series, number) };
        report.series.iter().enumerate().map(line).collect::<Vec<_>>()
    };
    let cpus = report.about.cpus;
    let all_cpus = (f64::from(cpus), format!("all {}", units::counted(cpus.into(), "CPU")));
    let sketches = [
        Sketch {
            title: "Latency, ms",
            caption: "Solid: half of the answers took at most so long. Dashed: 99 % did.",
            lines: [by(false, |point| point.latency_p50_ms), by(true, |point| point.latency_p99_ms)].concat(),
            may_be_log: true,
            ..Sketch::default()
        },
        Sketch {
            title: "CPU per request, ms",
            caption: "On-CPU time of the whole fleet, by answers.",
            lines: by(false, |point| Some(point.cpu_ms_per_request)),
            ..Sketch::default()
        },
        Sketch {
            title: "Context switches per request",
            caption: "Solid: voluntary, to wait for something. Dashed: preempted.",
            lines: [
                by(false, |point| Some(point.voluntary_switches_per_request)),
                by(true, |point| Some(point.preempted_switches_per_request)),
            ]
            .concat(),
            ..Sketch::default()
        },
        Sketch {
            title: "CPUs busy, whole fleet",
            caption: "How many CPUs the fleet kept busy.",
            lines: by(false, |point| Some(point.cpus_busy)),
            limit: (cpus != 0).then_some(all_cpus),
            ..Sketch::default()
        },
        Sketch {
            title: "CPUs busy, by worker",
            caption: "Each dot is a worker, the line their mean: the further apart, the less even the work.",
            lines: report
                .series
                .iter()
                .enumerate()
                .map(|(at, series)| of_workers(report, at, series))
                .collect(),
            ..Sketch::default()
        },
    ];
    let plots: Result<Vec<_>> = sketches.into_iter().map(|sketch| sketch.draw(report, SMALL)).collect();
    Ok(plots?.into_iter().flatten().collect())
}

/// Where the time of the workers' threads went: a plot for each set-up of which it is known.
pub fn budgets(report: &Report) -> Result<Vec<Plot>> {
    let states = tables::states(report);
    let mut plots = Vec::new();
    for series in &report.series {
        let told = || series.points.iter().filter(|point| !point.budget.is_empty());
        let parts = |point: &Point| {
            let share = |state: &BudgetState| {
                Some((colour(*state), point.budget.get(state).copied().filter(|share| *share > 0.0)?))
            };
            states.iter().filter_map(share).collect::<Vec<_>>()
        };
        let bars: Vec<_> = told().map(|point| (units::decimal(point.level, 0), parts(point))).collect();
        if bars.is_empty() {
            continue;
        }
        let words = told().map(|point| {
            let shares = point.budget.iter().map(|(state, share)| {
                format!("{} {} %", words::state(*state), units::decimal(share * 100.0, 1))
            });
            format!("at {}: {}", units::decimal(point.level, 0), shares.collect::<Vec<_>>().join(", "))
        });
        plots.push(Plot {
            title: escape::visible(&series.setup.name()).into_owned(),
            caption: "",
            description: words.collect::<Vec<_>>().join("; "),
            elements: chart::bars(words::level(report), &bars)?,
            size: SMALL,
        });
    }
    Ok(plots)
}

/// The colours of the states in any budget, and their names.
#[must_use]
pub fn state_legend(report: &Report) -> Vec<(usize, &'static str)> {
    let states = tables::states(report);
    states.into_iter().map(|state| (colour(state), words::state(state))).collect()
}

/// A state's colour.
fn colour(state: BudgetState) -> usize {
    BudgetState::ALL.iter().take_while(|before| **before != state).count()
}

fn levels(report: &Report) -> Axis {
    let points = report.series.iter().flat_map(|series| &series.points);
    Axis::levels(&points.map(|point| point.level).collect::<Vec<_>>())
}

fn measured(at: usize, series: &Series, number: impl Fn(&Point) -> Option<Estimate>) -> PlotLine {
    let dots = series.points.iter().filter_map(|point| Some((point.level, number(point)?)));
    let dots = dots.filter(|(_, number)| number.value.is_finite());
    PlotLine { series: at, dots: dots.collect(), ..PlotLine::default() }
}

fn of_workers(report: &Report, at: usize, series: &Series) -> PlotLine {
    let each =
        |point: &Point| point.cpus_busy_by_worker.iter().map(|busy| (point.level, *busy)).collect::<Vec<_>>();
    let specks: Vec<_> = series.points.iter().flat_map(each).collect();
    let mean = |point: &Point| {
        let workers = &point.cpus_busy_by_worker;
        (!workers.is_empty()).then(|| (point.level, workers.iter().sum::<f64>() / workers.len() as f64))
    };
    let curve = series.points.iter().filter_map(mean).collect();
    // Side by side, the middle one where its level is.
    let [at_place, places] = [at, report.series.len()].map(|number| i32::try_from(number).unwrap_or(0));
    let aside = (at_place * 2 - (places - 1)) * 12;
    PlotLine { series: at, curve, specks, aside, ..PlotLine::default() }
}

/// Lines over load, before they are drawn.
#[derive(Default)]
struct Sketch {
    title: &'static str,
    caption: &'static str,
    lines: Vec<PlotLine>,
    /// A level line of its own, and what is written at it.
    limit: Option<(f64, String)>,
    /// True if numbers that lie far apart may stand by their logarithm.
    may_be_log: bool,
}

impl Sketch {
    /// The plot; none if there is nothing in it.
    fn draw(self, report: &Report, size: PlotSize) -> Result<Option<Plot>> {
        let Self { title, caption, lines, limit, may_be_log } = self;
        if lines.iter().all(|line| line.dots.is_empty() && line.specks.is_empty()) {
            return Ok(None);
        }
        let highest = lines.iter().flat_map(numbers).fold(0.0, f64::max);
        // A limit that is far away would only press the lines together.
        let limit = limit.filter(|(number, _)| *number <= highest * 1.6);
        let room = limit.iter().map(|(number, _)| number * 1.08);
        let axis = Axis::numbers(lines.iter().flat_map(numbers).chain(room), may_be_log);
        let title = if axis.is_log() { format!("{title} (logarithmic)") } else { title.to_owned() };
        let description = lines.iter().map(|line| in_words(report, line)).collect::<Vec<_>>().join("; ");
        let level_name = words::level(report);
        let chart =
            LineChart { size, level_name, levels: levels(report), numbers: axis, drawn: lines, limit };
        Ok(Some(Plot { title, caption, description, elements: chart::lines(&chart)?, size }))
    }
}

/// All numbers of a line.
fn numbers(line: &PlotLine) -> Vec<f64> {
    let ends = line.dots.iter().flat_map(|(_, number)| [number.value, number.low, number.high]);
    let others = line.curve.iter().chain(&line.ring).chain(&line.specks).map(|(_, number)| *number);
    ends.chain(others).collect()
}

fn in_words(report: &Report, line: &PlotLine) -> String {
    let dots =
        line.dots.iter().map(|(level, number)| (*level, number.value)).chain(line.specks.iter().copied());
    let dots =
        dots.map(|(level, number)| format!("{} at {}", units::decimal(number, 3), units::decimal(level, 0)));
    let name = report.series.get(line.series).map(|series| series.setup.name()).unwrap_or_default();
    format!("{}: {}", escape::visible(&name), dots.collect::<Vec<_>>().join(", "))
}

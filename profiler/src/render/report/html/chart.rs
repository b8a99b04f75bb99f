//! Draws a chart as SVG with plotters, in colours that are only names: the page's style sheet knows which colour
//! each name has in the light and which in the dark.

use std::f64::consts::TAU;

use anyhow::{Result, anyhow};
use plotters::{
    chart::{ChartBuilder, ChartContext},
    coord::{Shift, cartesian::Cartesian2d},
    drawing::DrawingArea,
    element::{Circle, DashedPathElement, EmptyElement, PathElement, Polygon, Rectangle, Text},
    prelude::{IntoDrawingArea, SVGBackend},
    style::{
        Color, IntoTextStyle, RGBAColor, RGBColor, ShapeStyle, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

use crate::{model::estimate::Estimate, render::report::html::axis::Axis};

/// A plot's width and height: four times what is shown on a wide screen, for plotters rounds to whole units.
pub type PlotSize = (u32, u32);
/// Size of a plot that stands beside two others.
pub const SMALL: PlotSize = (1440, 920);
/// Size of the plot that stands beside the answer.
pub const LARGE: PlotSize = (1920, 1160);

/// Set-ups and states of which the style sheet has colours of their own; more share them.
const SERIES_COLOURS: usize = 8;
const STATE_COLOURS: usize = 13;

const INK: RGBColor = RGBColor(3, 0, 0);
const AXIS: RGBColor = RGBColor(3, 0, 1);
const GRID: RGBColor = RGBColor(3, 0, 2);
const GROUND: RGBColor = RGBColor(3, 0, 3);
const NONE: RGBAColor = RGBAColor(0, 0, 0, 0.0);

/// How far a marker's corners are from its middle.
const MARKER: f64 = 18.0;

/// What is drawn of one set-up.
#[derive(Clone, Debug, Default)]
pub struct PlotLine {
    /// The set-up's place in the report.
    pub series: usize,
    /// What was measured: level and number.
    pub dots: Vec<(f64, Estimate)>,
    /// What is drawn instead of a line through the dots.
    pub curve: Vec<(f64, f64)>,
    /// A point that is ringed.
    pub ring: Option<(f64, f64)>,
    /// Small dots without a line.
    pub specks: Vec<(f64, f64)>,
    /// How far the small dots are moved aside, lest they hide those of others.
    pub aside: i32,
    /// True for a dashed line with hollow dots.
    pub is_dashed: bool,
}

/// Lines over levels.
#[derive(Clone, Debug)]
pub struct LineChart {
    /// How large it is.
    pub size: PlotSize,
    /// Below the horizontal axis.
    pub level_name: &'static str,
    /// The levels.
    pub levels: Axis,
    /// The numbers.
    pub numbers: Axis,
    /// What is drawn.
    pub drawn: Vec<PlotLine>,
    /// A level line of its own, and what is written at it.
    pub limit: Option<(f64, String)>,
}

/// A bar: its name below it, and its parts with their states, which add up to 1 at most.
pub type Bar = (String, Vec<(usize, f64)>);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Context<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// The elements of the SVG, without the `svg` around them.
pub fn lines(chart: &LineChart) -> Result<String> {
    draw(chart.size, |area| {
        let mut context = mesh(area, &chart.levels, &chart.numbers, chart.level_name)?;
        if let Some((number, name)) = &chart.limit {
            let [left, right] = [0.0, f64::MAX].map(|level| (level, *number));
            context.draw_series(dashes(&[left, right], AXIS.stroke_width(4)))?;
            let style = text(INK).pos(Pos::new(HPos::Left, VPos::Bottom));
            context.draw_series([EmptyElement::at(left) + Text::new(name.clone(), (20, -8), style)])?;
        }
        chart.drawn.iter().try_for_each(|line| draw_line(&mut context, line))
    })
}

/// Bars of parts, side by side.
pub fn bars(level_name: &'static str, bars: &[Bar]) -> Result<String> {
    draw(SMALL, |area| {
        let names = Axis::names(bars.iter().map(|(name, _)| name.clone()));
        let mut context = mesh(area, &names, &Axis::shares(), level_name)?;
        for (left, (_, parts)) in (0_u32..).map(f64::from).zip(bars) {
            let mut low = 0.0;
            for (state, share) in parts {
                let high = low + share;
                let colour = RGBColor(2, 0, (*state).min(STATE_COLOURS - 1) as u8);
                let corners = [(left + 0.14, low), (left + 0.86, high)];
                context.draw_series([Rectangle::new(corners, colour.filled())])?;
                low = high;
            }
        }
        Ok(())
    })
}

fn draw(size: PlotSize, paint: impl FnOnce(&Area) -> Result<()>) -> Result<String> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    paint(&area)?;
    area.present()?;
    drop(area);
    let inside = svg.split_once('\n').and_then(|(_, rest)| rest.trim_end().strip_suffix("</svg>"));
    inside.map(str::to_owned).ok_or_else(|| anyhow!("failed to find the elements of a plot"))
}

/// Two axes with a grid and what is written beside it.
fn mesh<'a, 'b>(area: &'a Area<'b>, x: &Axis, y: &Axis, x_name: &str) -> Result<Context<'a, 'b>> {
    let mut context = ChartBuilder::on(area)
        .margin_top(28)
        .margin_right(40)
        .x_label_area_size(150)
        .y_label_area_size(170)
        .build_cartesian_2d(x.clone(), y.clone())?;
    context
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID.stroke_width(4))
        .light_line_style(NONE)
        .axis_style(AXIS.stroke_width(4))
        .label_style(text(INK))
        .axis_desc_style(text(INK))
        .x_desc(x_name)
        .set_all_tick_mark_size(14)
        .draw()?;
    Ok(context)
}

fn text(colour: RGBColor) -> TextStyle<'static> {
    ("sans-serif", 58).with_color(colour).into_text_style(&SMALL)
}

fn draw_line(context: &mut Context, line: &PlotLine) -> Result<()> {
    let colour = RGBColor(1, 0, (line.series % SERIES_COLOURS) as u8);
    let middles: Vec<_> = line.dots.iter().map(|(level, number)| (*level, number.value)).collect();
    let path = if line.curve.is_empty() { &middles } else { &line.curve };
    if line.is_dashed {
        context.draw_series(dashes(path, colour.stroke_width(8)))?;
    } else {
        context.draw_series([PathElement::new(path.clone(), colour.stroke_width(8))])?;
    }
    for (level, Estimate { low, high, .. }) in line.dots.iter().filter(|(_, number)| number.low < number.high)
    {
        let ends = [low, high].map(|end| (*level, *end));
        context.draw_series([PathElement::new(ends, colour.stroke_width(6))])?;
        let cap = |end| EmptyElement::at(end) + PathElement::new([(-12, 0), (12, 0)], colour.stroke_width(6));
        context.draw_series(ends.map(cap))?;
    }
    let speck =
        |speck: &(f64, f64)| EmptyElement::at(*speck) + Circle::new((line.aside, 0), 10, colour.filled());
    context.draw_series(line.specks.iter().map(speck))?;
    let fill = if line.is_dashed { GROUND } else { colour };
    let outline = outline(line.series);
    let marker = |middle: &(f64, f64)| {
        EmptyElement::at(*middle)
            + Polygon::new(outline.clone(), fill.filled())
            + PathElement::new(outline.clone(), colour.stroke_width(6))
    };
    context.draw_series(middles.iter().map(marker))?;
    context.draw_series(line.ring.map(|ring| Circle::new(ring, 34, INK.stroke_width(6))))?;
    Ok(())
}

/// A set-up's shape, so that colour is not all that tells it from others: a disc, a square, a triangle, a diamond.
fn outline(series: usize) -> Vec<(i32, i32)> {
    let (corners, turned) = [(16_u8, 0.0), (4, 0.125), (3, 0.75), (4, 0.0)][series % 4];
    let corner = |corner: u8| {
        let angle = (f64::from(corner) / f64::from(corners) + turned) * TAU;
        ((angle.cos() * MARKER).round() as i32, (angle.sin() * MARKER).round() as i32)
    };
    (0..=corners).map(corner).collect()
}

type Dashes = DashedPathElement<std::vec::IntoIter<(f64, f64)>, u32>;

fn dashes(path: &[(f64, f64)], style: ShapeStyle) -> Option<Dashes> {
    (path.len() > 1).then(|| DashedPathElement::new(path.to_vec(), 24_u32, 18, style))
}

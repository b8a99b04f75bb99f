//! How a flame graph looks, of one recording or of what differs between two: inferno's boxes and script, and above them
//! a caption of our own, which says in several lines what the picture shows and what its colours mean.

use anyhow::{Context as _, Result, ensure};
use askama::Template;
use inferno::flamegraph::{
    self, Direction, Options, TextTruncateDirection,
    color::{BackgroundColor, Color},
};

use crate::render::graph::palette::Legend;

/// Boxes narrower than this are not drawn, in percent of the whole: a hundredth of a pixel on most screens, so
/// that zooming finds one sample in ten thousand.
const MIN_WIDTH_PERCENT: f64 = 0.01;

/// What stands above the boxes.
#[derive(Debug)]
pub struct Caption {
    /// What the picture is of.
    pub title: String,
    /// More of it, a line each.
    pub lines: Vec<String>,
    /// What its colours mean.
    pub legend: Vec<Legend>,
}

/// Options to which a graph adds its unit and its colours.
#[must_use]
pub fn options<'a>(inverted: bool) -> Options<'a> {
    let mut options = Options::default();
    options.title = String::new();
    options.name_type = String::new();
    options.min_width = MIN_WIDTH_PERCENT;
    options.text_truncate_direction = TextTruncateDirection::Right;
    options.bgcolors = Some(BackgroundColor::Flat(Color { r: 250, g: 250, b: 250 }));
    // As py-spy and samply have it, and our reports: a tall picture opens on what calls, not on its empty tips. inferno
    // calls this way inverted, and we the other.
    options.direction = if inverted { Direction::Straight } else { Direction::Inverted };
    // Takes the lines in the reverse of the order given. In the other modes it sorts them as text, in which
    // `foo::bar` comes between `foo` and `foo;callee`, and tears `foo` apart.
    options.flame_chart = true;
    options
}

/// Draws lines of folded stacks, the last in order first; `empty` if there are none.
pub fn draw(options: &mut Options<'_>, caption: &Caption, lines: &[String], empty: &str) -> Result<String> {
    let mut svg = Vec::new();
    if lines.is_empty() {
        flamegraph::from_lines(options, [empty], &mut svg)?;
    } else {
        flamegraph::from_lines(options, lines.iter().map(String::as_str), &mut svg)?;
    }
    with_caption(String::from_utf8(svg).context("failed to read the flame graph")?, caption)
}

/// Distance of lines of text, pixels.
const LINE: usize = 17;
/// Left of the first letter, as inferno has it.
const LEFT: usize = 10;
/// Pixels right of which a legend goes on in the next line: it is whole in a window of 800.
const RIGHT: usize = 780;
/// Room above what inferno draws, pixels: less than its own, which has no title now.
const ABOVE: usize = 7;
/// A colour with the room behind it, pixels.
const SWATCH: usize = 17;

#[derive(Template)]
#[template(path = "flamegraph_caption.svg")]
struct CaptionTemplate<'a> {
    title: &'a str,
    texts: Vec<Line<'a>>,
    swatches: Vec<Swatch>,
}

struct Line<'a> {
    x: usize,
    y: usize,
    text: &'a str,
}

struct Swatch {
    x: usize,
    y: usize,
    fill: String,
}

/// Puts the caption above all that inferno draws, and moves that down.
fn with_caption(mut svg: String, caption: &Caption) -> Result<String> {
    let (elements, height) = elements(caption)?;
    let (_, rest) = svg.split_once(" height=\"").context("failed to find the flame graph's height")?;
    let (drawn, _) = rest.split_once('"').context("failed to find the flame graph's height")?;
    let drawn: usize = drawn.parse().context("failed to read the flame graph's height")?;
    let sizes = [
        ("height=\"", "\" onload="),
        ("viewBox=\"0 0 1200 ", "\""),
        ("height=\"", "\" fill=\"url(#background)\""),
    ];
    for (before, after) in sizes {
        let size = |height: usize| format!("{before}{height}{after}");
        replace(&mut svg, &size(drawn), &size(drawn + height))?;
    }
    let title = "<text id=\"title\" fill=\"rgb(0,0,0)\" x=\"50.0000%\" y=\"24.00\"></text>";
    replace(&mut svg, title, &format!("{elements}<g transform=\"translate(0,{height})\">"))?;
    ensure!(svg.ends_with("</svg>"), "failed to find the flame graph's end");
    svg.insert_str(svg.len() - "</svg>".len(), "</g>");
    Ok(svg)
}

/// Replaces what is there once.
fn replace(svg: &mut String, old: &str, new: &str) -> Result<()> {
    let at = svg.find(old).with_context(|| format!("failed to find `{old}` in the flame graph"))?;
    svg.replace_range(at..at + old.len(), new);
    Ok(())
}

/// The elements of a caption, and how much room they take.
fn elements(caption: &Caption) -> Result<(String, usize)> {
    let (mut texts, mut swatches) = (Vec::new(), Vec::new());
    let mut y = 22;
    for text in &caption.lines {
        y += LINE;
        texts.push(Line { x: LEFT, y, text });
    }
    for Legend { heading, colours } in &caption.legend {
        y += LINE + 2;
        texts.push(Line { x: LEFT, y, text: heading });
        let begin = LEFT + width(heading) + 10;
        let mut x = begin;
        for (Color { r, g, b }, text) in colours {
            let width = SWATCH + width(text) + 16;
            if x != begin && x + width > RIGHT {
                (x, y) = (begin, y + LINE);
            }
            swatches.push(Swatch { x, y: y - 10, fill: format!("rgb({r},{g},{b})") });
            texts.push(Line { x: x + SWATCH, y, text });
            x += width;
        }
    }
    let elements = CaptionTemplate { title: &caption.title, texts, swatches };
    Ok((elements.render().context("failed to write the flame graph's caption")?, y - ABOVE))
}

/// How wide a text is, pixels: a letter has 0.6 of its height in most monospace fonts.
fn width(text: &str) -> usize {
    text.chars().count() * 36 / 5
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caption(lines: usize, colours: usize) -> Caption {
        let color = Color { r: 1, g: 2, b: 3 };
        Caption {
            title: "<b>".to_owned(),
            lines: vec!["line".to_owned(); lines],
            legend: vec![Legend { heading: "code:", colours: vec![(color, "standard library"); colours] }],
        }
    }

    /// The numbers of all attributes of a name.
    fn numbers(svg: &str, name: &str) -> Vec<usize> {
        let before = format!(" {name}=\"");
        let values = svg.split(&before).skip(1);
        values.filter_map(|rest| rest.split_once('"')?.0.parse().ok()).collect()
    }

    #[test]
    fn a_legend_goes_on_in_the_next_line_and_moves_what_is_below() {
        let (few, low) = elements(&caption(1, 3)).unwrap();
        let (many, lower) = elements(&caption(1, 9)).unwrap();
        assert!(few.contains(">&#60;b&#62;</text>"), "{few}");
        let text = "standard library".len() * 8;
        assert!(numbers(&many, "x").iter().all(|x| x + text < 800), "{many}");
        assert!(numbers(&many, "y").iter().all(|y| *y <= lower + ABOVE), "{many}");
        assert_eq!((lower - low) % LINE, 0);
        assert!(lower > low);
    }

    #[test]
    fn the_picture_grows_by_its_caption() {
        let draw = |lines| {
            let mut options = options(false);
            draw(&mut options, &caption(lines, 1), &["a;b 1".to_owned()], "").unwrap()
        };
        let heights =
            |svg: &str| numbers(svg, "height").into_iter().filter(|height| *height > 50).collect::<Vec<_>>();
        let (one, four) = (heights(&draw(1)), heights(&draw(4)));
        assert_eq!(one.len(), 2, "of the picture, and of its ground");
        assert!(one.iter().zip(&four).all(|(one, four)| one + 3 * LINE == *four), "{one:?}, {four:?}");
    }
}

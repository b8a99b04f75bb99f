//! How a flame graph looks, of one recording or of what differs between two.

use inferno::flamegraph::{
    self, Options, TextTruncateDirection,
    color::{BackgroundColor, Color},
};

/// Boxes narrower than this are not drawn, in percent of the whole: a hundredth of a pixel on most screens, so
/// that zooming finds one sample in ten thousand.
const MIN_WIDTH_PERCENT: f64 = 0.01;

/// Options to which a graph adds its title, its unit and its colours.
#[must_use]
pub fn options<'a>() -> Options<'a> {
    let mut options = Options::default();
    options.name_type = String::new();
    options.min_width = MIN_WIDTH_PERCENT;
    options.text_truncate_direction = TextTruncateDirection::Right;
    options.bgcolors = Some(BackgroundColor::Flat(Color { r: 250, g: 250, b: 250 }));
    // Takes the lines in the reverse of the order given. In the other modes it sorts them as text, in which
    // `foo::bar` comes between `foo` and `foo;callee`, and tears `foo` apart.
    options.flame_chart = true;
    options
}

/// Draws lines of folded stacks, the last in order first; `empty` if there are none.
pub fn draw(options: &mut Options<'_>, lines: &[String], empty: &str) -> anyhow::Result<Vec<u8>> {
    let mut svg = Vec::new();
    if lines.is_empty() {
        flamegraph::from_lines(options, [empty], &mut svg)?;
    } else {
        flamegraph::from_lines(options, lines.iter().map(String::as_str), &mut svg)?;
    }
    Ok(svg)
}

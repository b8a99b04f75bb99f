//! What a terminal shows: headlines, rows laid out under their heads, and names in which nothing acts.

pub mod escape;
pub mod grid;
pub mod wrap;

/// A headline, bold where that is shown.
#[must_use]
pub fn bold(text: &str, colour: bool) -> String {
    if colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}

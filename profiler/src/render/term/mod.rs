//! What a terminal shows: headlines, rows laid out under their heads, and names in which nothing acts.

pub mod escape;
pub mod grid;

/// A headline, bold where that is shown.
#[must_use]
pub fn bold(text: &str, colour: bool) -> String {
    if colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}

/// A sentence in lines of so many characters, those after the first indented; `indent` characters stand before the first, too.
/// A number keeps its unit.
#[must_use]
pub fn wrapped(text: &str, indent: usize, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let (mut lines, mut length) = (String::with_capacity(text.len()), indent);
    let mut words = text.split(' ').peekable();
    while let Some(word) = words.next() {
        let is_number = word.ends_with(|c: char| c.is_ascii_digit());
        let unit = words.next_if(|next| is_number && next.trim_end_matches([',', ';']).chars().count() <= 2);
        let whole = [Some(word), unit].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let chars = whole.chars().count();
        if length > indent && length + 1 + chars > width {
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', indent));
            length = indent;
        } else if length > indent {
            lines.push(' ');
            length += 1;
        }
        lines += &whole;
        length += chars;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_between_words() {
        assert_eq!(wrapped("one two three", 2, Some(9)), "one two\n  three");
        assert_eq!(wrapped("one two three", 0, None), "one two three");
        assert_eq!(wrapped("for 4.09 ms, or so", 0, Some(9)), "for\n4.09 ms,\nor so");
        assert_eq!(wrapped("a-word-too-long b", 1, Some(5)), "a-word-too-long\n b");
    }
}

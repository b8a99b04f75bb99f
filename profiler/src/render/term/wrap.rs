//! Sentences on lines that fit.

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

/// A sentence in lines of so many characters, each behind so many blanks.
#[must_use]
pub fn indented(text: &str, indent: usize, width: Option<usize>) -> String {
    " ".repeat(indent) + &wrapped(text, indent, width)
}

/// The beginning of a text that is wider than so many characters, and an ellipsis.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    kept + "…"
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

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!((cut("äbc", 3), cut("äbcd", 3)), ("äbc".to_owned(), "äb…".to_owned()));
    }
}

//! Texts that act on no terminal.

/// Panics if one has a control character (of ASCII's, or C1), but for the ends of its lines, or a mark of writing direction.
pub fn check(text: &str) {
    let acting = text.chars().find(|c| {
        c.is_control() && *c != '\n'
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    });
    assert_eq!(acting, None, "in {text:?}");
}

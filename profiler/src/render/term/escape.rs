//! Names from targets, made harmless.
//!
//! Names of functions, files, threads and applications are chosen by whoever wrote the program that is watched.
//! A character that could act instead of being seen is written as Rust writes it: `\x1b`, `\u{202e}`. A
//! backslash is doubled, so that every name can be told from every other.

use std::{borrow::Cow, fmt::Write};

/// The longest name that a frame shows, in characters.
const MAX_NAME: usize = 240;
/// The longest that a row of a table shows.
const MAX_IN_ROW: usize = 40;

/// A text of which every character is seen and none acts: for terminals, tables and sentences.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().any(|c| acts(c) || c == '\\') { escaped(text, acts).into() } else { text.into() }
}

/// What is left to act in a rendered text, made visible: nothing, if every name in it was escaped where it was put in. What
/// renderers may use are ends of lines, bold and dim.
#[must_use]
pub fn rendered(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let used = STYLES.into_iter().find(|style| rest.starts_with(style));
        let length = used.map_or(c.len_utf8(), str::len);
        if used.is_some() || !acts(c) {
            safe.push_str(&rest[..length]);
        } else {
            push(&mut safe, c);
        }
        rest = &rest[length..];
    }
    safe.into()
}

/// What renderers write that acts: the end of a line; bold, dim, plain.
const STYLES: [&str; 4] = ["\n", "\x1b[1m", "\x1b[2m", "\x1b[0m"];

/// A name as part of a line of folded stacks: `visible`, without the `;` that separates frames, without blanks
/// at its ends (readers trim them), never empty and not longer than 240 characters.
#[must_use]
pub fn frame(name: &str) -> String {
    let name = name.trim();
    if name.is_empty() {
        return "?".to_owned();
    }
    let Some((cut, _)) = name.char_indices().nth(MAX_NAME) else {
        return escaped(name, |c| acts(c) || c == ';');
    };
    escaped(&name[..cut], |c| acts(c) || c == ';') + "…"
}

/// A name as part of a table's row: not longer than 40 characters.
#[must_use]
pub fn short(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(MAX_IN_ROW) {
        Some((cut, _)) => format!("{}…", &name[..cut]).into(),
        None => name.into(),
    }
}

/// A JSON document in which no character acts on a terminal: they occur only inside of strings, where `\u`
/// means the same.
#[must_use]
pub fn json(document: String) -> String {
    if is_plain(&document) {
        return document;
    }
    let hidden = |c: char| acts(c) && c != '\n';
    let mut safe = String::with_capacity(document.len() + 64);
    for c in document.chars() {
        if hidden(c) {
            // Writing to a string cannot fail.
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe
}

/// True if a text has printable ASCII and ends of lines only, as a document of megabytes mostly has: many bytes at a time tell.
fn is_plain(text: &str) -> bool {
    let are_plain =
        |some: &[u8]| some.iter().fold(true, |are, byte| are & matches!(byte, b'\n' | b' '..=b'~'));
    text.as_bytes().chunks(64).all(are_plain)
}

fn escaped(text: &str, hidden: impl Fn(char) -> bool) -> String {
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\\' => safe.push_str("\\\\"),
            c if hidden(c) => push(&mut safe, c),
            c => safe.push(c),
        }
    }
    safe
}

/// Writes a character as Rust does.
fn push(safe: &mut String, c: char) {
    // Writing to a string cannot fail.
    let _ = match u32::from(c) {
        code @ ..=0xff => write!(safe, "\\x{code:02x}"),
        code => write!(safe, "\\u{{{code:x}}}"),
    };
}

/// True for control characters, breaks of lines, marks of writing direction, and what XML forbids. All of them
/// lie in the basic plane.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_shown() {
        assert_eq!(visible("plain name (ä.py:3) <b>"), "plain name (ä.py:3) <b>");
        assert_eq!(visible("\x1b[31mred\x07\n"), r"\x1b[31mred\x07\x0a");
        assert_eq!(visible("\u{9b}31m"), r"\x9b31m");
        assert_eq!(visible("abc\u{202e}fed\u{2029}"), r"abc\u{202e}fed\u{2029}");
    }

    #[test]
    fn what_was_forgotten_does_not_act_either() {
        let styled = "\x1b[1mbold\x1b[0m \\x1b\n";
        assert_eq!(rendered(styled), styled);
        assert_eq!(
            rendered("\x1b[1mb\x1b[31m\x1b]0;t\x07\r\n\u{202e}"),
            "\x1b[1mb\\x1b[31m\\x1b]0;t\\x07\\x0d\n\\u{202e}"
        );
    }

    #[test]
    fn an_escape_cannot_be_counterfeited() {
        assert_eq!(visible(r"\x1b"), r"\\x1b");
        assert_ne!(frame("a;b"), frame(r"a\x3bb"));
    }

    #[test]
    fn frames_keep_their_line_whole() {
        assert_eq!(frame("a;b"), r"a\x3bb");
        assert_eq!(frame(" a b "), "a b");
        assert_eq!(frame(" \u{a0}\n"), "?");
        assert_eq!(frame(&"ä".repeat(240)).chars().count(), 240);
        assert_eq!(frame(&"ä".repeat(241)).chars().count(), 241);
        assert!(frame(&"ä".repeat(241)).ends_with("ä…"));
    }

    #[test]
    fn rows_stay_narrow() {
        assert_eq!(short("ThreadPoolExecutor-0_0"), "ThreadPoolExecutor-0_0");
        assert_eq!(short(&"ä".repeat(40)), "ä".repeat(40));
        assert_eq!(short(&"ä".repeat(41)), "ä".repeat(40) + "…");
    }

    #[test]
    fn json_means_the_same_and_does_nothing() {
        let text = serde_json::to_string_pretty(&["\u{9b}2J\u{7f}\u{202e}", "fine"]).unwrap();
        let safe = json(text.clone());
        assert!(safe.is_ascii(), "{safe}");
        let (before, after): (Vec<String>, Vec<String>) =
            (serde_json::from_str(&text).unwrap(), serde_json::from_str(&safe).unwrap());
        assert_eq!(before, after);
    }
}

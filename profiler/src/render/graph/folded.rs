//! Folded stacks, one a line: `root;caller;leaf 123`. Every flame graph tool reads them.
//!
//! Names are escaped by `term/escape.rs`: a `;` in a name is `\x3b`, a line break
//! `\x0a`, a backslash is doubled. Readers take two numbers at the end of a line for those before and after a change, so the
//! blank before a number at the end of a leaf's name is `\x20`.

use std::{borrow::Cow, fmt::Write};

use crate::render::graph::{fold::Folded, label::Label};

/// The text of merged stacks.
#[must_use]
pub fn text(folded: &Folded) -> String {
    let mut text = String::new();
    for (stack, value) in folded {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} {value}", joined(stack));
    }
    text
}

/// A stack's labels with `;` between them.
pub(super) fn joined(stack: &[Label]) -> String {
    let Some((leaf, callers)) = stack.split_last() else { return String::new() };
    let mut line = String::new();
    for label in callers {
        line.push_str(&label.text);
        line.push(';');
    }
    line.push_str(&as_leaf(&leaf.text));
    line
}

/// The text of a label at the end of its stack.
pub(super) fn as_leaf(text: &str) -> Cow<'_, str> {
    match text.rsplit_once(' ') {
        Some((head, number)) if number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
            format!("{head}\\x20{number}").into()
        }
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::graph::label::Tint;

    #[test]
    fn each_stack_is_one_line() {
        let stack = |names: &[&str]| names.iter().map(|name| Label::new(name, Tint::Application)).collect();
        let folded = Folded::from([(stack(&["a", "b c"]), 12), (stack(&["a", "x;y\n"]), u64::MAX)]);
        assert_eq!(text(&folded), "a;b c 12\na;x\\x3by 18446744073709551615\n");
    }

    #[test]
    fn a_leaf_that_ends_in_a_number_keeps_it() {
        let labels = ["a 1", "work 12"].map(|name| Label::new(name, Tint::Application));
        assert_eq!(joined(&labels), r"a 1;work\x2012");
        for (name, expected) in
            [("f 1.5", r"f\x201.5"), ("f x1", "f x1"), ("f (a.py:1)", "f (a.py:1)"), ("7", "7")]
        {
            assert_eq!(as_leaf(name), expected);
        }
    }
}

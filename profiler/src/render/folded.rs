//! Folded stacks, one a line: `root;caller;leaf 123`. Every flame graph tool reads them.
//!
//! Names are escaped by `escape.rs`: a `;` in a name is `\x3b`, a line break
//! `\x0a`, a backslash is doubled.

use std::fmt::Write;

use crate::render::{label::Label, shape::Folded};

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
    let mut line = String::new();
    for (index, label) in stack.iter().enumerate() {
        if index != 0 {
            line.push(';');
        }
        line.push_str(&label.text);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::label::Tint;

    #[test]
    fn each_stack_is_one_line() {
        let stack = |names: &[&str]| names.iter().map(|name| Label::new(name, Tint::Application)).collect();
        let folded = Folded::from([(stack(&["a", "b c"]), 12), (stack(&["a", "x;y\n"]), u64::MAX)]);
        assert_eq!(text(&folded), "a;b c 12\na;x\\x3by 18446744073709551615\n");
    }
}

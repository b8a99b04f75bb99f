//! Finds in formatted Rust source which modules of its own crate, and which other crates, it names: for `floors`.
//!
//! It reads text, not syntax: comments are cut, and the layout is trusted, since `ci` checks the format first.

/// `source` with its line comments cut off, line by line.
pub fn without_comments(source: &str) -> String {
    let lines = source.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The top-level modules of this crate that `code` names, each with its line: after `crate::`, after `profiler::`, as
/// the binary says, and after as many `super::` as lead from a module `depth` levels deep to the crate's root.
pub fn modules(code: &str, depth: usize) -> Vec<(usize, &str)> {
    let inline = inline_modules(code);
    let mut found = Vec::new();
    for root in ["crate::", "profiler::", "super::"] {
        for at in paths(code, root) {
            let mut rest = &code[at + root.len()..];
            if root == "super::" {
                let mut steps = 1;
                while let Some(shorter) = rest.strip_prefix(root) {
                    (rest, steps) = (shorter, steps + 1);
                }
                if steps != depth + inline[line(code, at) - 1] {
                    continue;
                }
            }
            let start = code.len() - rest.len();
            found.extend(heads(rest).into_iter().map(|(offset, name)| (line(code, start + offset), name)));
        }
    }
    found
}

/// The lines on which `code` names the crate `name`.
pub fn crates(code: &str, name: &str) -> Vec<usize> {
    let named = paths(code, name).filter(|at| {
        let rest = &code[at + name.len()..];
        rest.starts_with("::") || (code[..*at].ends_with("use ") && !rest.starts_with(is_word))
    });
    named.map(|at| line(code, at)).collect()
}

/// Where in `code` a path starts with `word`: it neither continues a longer word nor another path.
fn paths(code: &str, word: &str) -> impl Iterator<Item = usize> {
    code.match_indices(word).map(|(at, _)| at).filter(|at| {
        let before = code[..*at].strip_suffix("::").unwrap_or(&code[..*at]);
        !before.ends_with(|c| is_word(c) || c == '>')
    })
}

/// The first names of what follows `crate::`: one, or each of a group's.
fn heads(rest: &str) -> Vec<(usize, &str)> {
    let word = |at: usize| rest[at..].split(|c| !is_word(c)).next().unwrap_or_default();
    if !rest.starts_with('{') {
        let name = word(0);
        return if name.is_empty() { Vec::new() } else { vec![(0, name)] };
    }
    let (mut heads, mut depth, mut expected) = (Vec::new(), 0, false);
    for (at, c) in rest.char_indices() {
        match c {
            '{' => (depth, expected) = (depth + 1, depth == 0),
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' => expected = depth == 1,
            _ if expected && is_word(c) => {
                heads.push((at, word(at)));
                expected = false;
            }
            _ => {}
        }
    }
    heads
}

/// How many inline modules are open on each line: one ends at the first `}` as far from the margin as it began.
fn inline_modules(code: &str) -> Vec<usize> {
    let mut open = Vec::new();
    let depths = code.lines().map(|line| {
        let margin = line.len() - line.trim_start().len();
        if line.trim() == "}" && open.last() == Some(&margin) {
            open.pop();
        }
        let depth = open.len();
        if line.split_whitespace().rev().nth(2) == Some("mod") && line.trim_end().ends_with('{') {
            open.push(margin);
        }
        depth
    });
    depths.collect()
}

fn line(code: &str, at: usize) -> usize {
    1 + code[..at].matches('\n').count()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

//! Modules that import each other in a circle, at any level, for `floors`: who reads one of them has to read all.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context as _, Result};

use crate::{imports, sources};

/// What begins a file's tests, which may import what they like.
const TESTS: &str = "#[cfg(test)]\nmod tests";

type Graph = BTreeMap<String, BTreeSet<String>>;

/// The circles below `src`, each as the paths of its modules.
pub fn find(src: &Path) -> Result<Vec<Vec<String>>> {
    let mut codes = BTreeMap::new();
    for file in sources::below(src)? {
        let place = file.strip_prefix(src).context("failed to place a file")?.with_extension("");
        let mut path: Vec<_> = place.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        path.pop_if(|last| *last == "mod");
        let text = sources::read(&file)?;
        codes.insert(path, imports::without_comments(text.split(TESTS).next().unwrap_or_default()));
    }
    let mut graph = Graph::new();
    for (module, code) in &codes {
        let known = |path: &[String]| (1..=path.len()).rev().find(|end| codes.contains_key(&path[..*end]));
        let paths = paths(module, code).into_iter();
        let imported = paths.filter_map(|path| known(&path).map(|end| path[..end].join("::")));
        graph.insert(module.join("::"), imported.filter(|path| *path != module.join("::")).collect());
    }
    Ok(circles(&graph))
}

/// The paths from the crate's root that a module's code names.
fn paths(module: &[String], code: &str) -> Vec<Vec<String>> {
    let parent = &module[..module.len().saturating_sub(1)];
    let mut found = Vec::new();
    for (word, base) in [("crate::", &[][..]), ("self::", module), ("super::", parent)] {
        for (at, _) in code.match_indices(word) {
            let (before, mut rest) = (&code[..at], &code[at + word.len()..]);
            if before.ends_with("::") || before.ends_with(is_word) {
                continue;
            }
            let mut base = base;
            while let Some(shorter) = rest.strip_prefix("super::") {
                (rest, base) = (shorter, &base[..base.len().saturating_sub(1)]);
            }
            leaves(&mut base.to_vec(), rest, &mut found);
        }
    }
    found
}

/// Adds the paths of a tree of imports, or of one path, that stands behind `base`; returns what follows it.
fn leaves<'a>(base: &mut Vec<String>, tree: &'a str, found: &mut Vec<Vec<String>>) -> &'a str {
    if let Some(mut rest) = tree.strip_prefix('{') {
        while !rest.is_empty() {
            rest = leaves(base, rest.trim_start(), found).trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
            if let Some(rest) = rest.strip_prefix('}') {
                return rest;
            }
        }
        return rest;
    }
    let (word, rest) = tree.split_at(tree.find(|c| !is_word(c)).unwrap_or(tree.len()));
    if word.is_empty() {
        // No import, or one of all there is.
        return rest.get(1..).unwrap_or_default();
    }
    base.push(word.to_owned());
    let rest = if let Some(deeper) = rest.strip_prefix("::") {
        leaves(base, deeper, found)
    } else {
        found.push(base.clone());
        // What it is called here.
        rest.strip_prefix(" as ").map_or(rest, |name| name.trim_start_matches(is_word))
    };
    base.pop();
    rest
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Groups of modules of which each leads to all others.
fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let reached: BTreeMap<_, _> = graph.keys().map(|module| (module, reached(graph, module))).collect();
    let mut circles = BTreeSet::new();
    for (module, ways) in &reached {
        let leads_back = |other: &&String| reached.get(other).is_some_and(|ways| ways.contains(*module));
        let circle: Vec<_> = ways.iter().filter(leads_back).cloned().collect();
        if !circle.is_empty() {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

/// All modules to which the imports of one lead.
fn reached(graph: &Graph, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        for next in graph.get(module).into_iter().flatten() {
            if reached.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let name = files.iter().map(|(file, _)| file.len()).sum::<usize>();
        let src = std::env::temp_dir().join(format!("punchclock-circles-{name}-{}", std::process::id()));
        for (file, text) in files {
            let file = src.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let circles = find(&src).unwrap();
        fs::remove_dir_all(&src).unwrap();
        circles
    }

    #[test]
    fn circles_are_found_at_every_level() {
        let found = tree(&[
            ("a/mod.rs", "mod b;\nmod c;\npub use c::C;\n"),
            ("a/b.rs", "use crate::{\n    a::{c::{C as D, E}, f},\n    z,\n};\n"),
            ("a/c.rs", "use super::g::G;\n"),
            ("a/g.rs", "fn f() { crate::a::b::f() }\n"),
            ("z.rs", "use crate::a::c;\n"),
        ]);
        assert_eq!(found, [["a::b", "a::c", "a::g", "z"]]);
    }

    #[test]
    fn tests_and_comments_make_none() {
        let tests = "use crate::y::Y;\n#[cfg(test)]\nmod tests {\n    use crate::x;\n}\n";
        assert!(
            tree(&[
                ("x.rs", tests),
                ("y.rs", "// use crate::x;\n#[cfg(test)]\nmod tests {\n use crate::x; }")
            ])
            .is_empty()
        );
    }
}

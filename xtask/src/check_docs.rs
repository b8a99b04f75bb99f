//! `check-docs`: doc comments whose first line stands alone, and type names that mean one thing.
//!
//! rustdoc and editors show a doc comment's first line by itself, so it must not go on from the item above. It reads text, not
//! syntax, as `floors` does.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Result, ensure};

use crate::{imports, sources};

/// Folders whose doc comments are checked.
const DOCUMENTED: [&str; 6] = ["profiler", "profiler-common", "profiler-ebpf", "guest", "tests", "xtask"];
/// Folders whose type names are checked: the crates that one reader has in mind together.
const NAMED: [&str; 3] = ["profiler", "profiler-common", "profiler-ebpf"];

/// Beginnings of a first line that goes on from another item's.
const REFUSED: [&str; 4] = ["…", "The same", "Of these", "Of "];

/// Type names that two modules define for the same idea. This list only gets shorter.
const SHARED: [(&str, &str); 9] = [
    ("By", "the command line's word and the picture's"),
    ("Dump", "the command line's verb and its result"),
    ("GraphOptions", "the command line's words and the picture's options"),
    ("Histogram", "the kernel side's array and the model's"),
    ("Per", "the command line's word and the comparison's"),
    ("Report", "the command line's verb and an audit's result"),
    ("Usl", "the fitted curve and what a report says of it"),
    ("Waits", "the kernel side's sums and the model's"),
    ("Weight", "the command line's word and the picture's"),
];

pub fn run() -> Result<()> {
    let mut offences = Vec::new();
    for folder in DOCUMENTED {
        offences.extend(first_lines(Path::new(folder))?);
    }
    offences.extend(doubles(&NAMED.map(Path::new), &SHARED)?);
    for offence in &offences {
        println!("{offence}");
    }
    ensure!(
        offences.is_empty(),
        "failed to keep to one meaning a line and a name: {} offences",
        offences.len()
    );
    Ok(())
}

/// Doc comments below `folder` whose first line does not stand alone, as `path:line: message`.
fn first_lines(folder: &Path) -> Result<Vec<String>> {
    let mut offences = Vec::new();
    for file in sources::below(folder)? {
        let text = sources::read(&file)?;
        let mut is_inside = false;
        for (index, line) in text.lines().enumerate() {
            let doc = doc_line(line);
            if let Some(doc) = doc.filter(|_| !is_inside)
                && let Some(beginning) = REFUSED.iter().find(|beginning| doc.starts_with(**beginning))
            {
                offences.push(format!(
                    "{}:{}: a doc comment begins with `{}`: say what the item is",
                    file.display(),
                    index + 1,
                    beginning.trim_end()
                ));
            }
            is_inside = doc.is_some();
        }
    }
    Ok(offences)
}

/// The text of a line of a doc comment.
fn doc_line(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let doc = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))?;
    Some(doc.strip_prefix(' ').unwrap_or(doc))
}

/// Type names that are defined twice below `folders` and are not `shared`, and those that are shared by nobody any more.
fn doubles(folders: &[&Path], shared: &[(&str, &str)]) -> Result<Vec<String>> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for folder in folders {
        for file in sources::below(folder)? {
            let code = imports::without_comments(&sources::read(&file)?);
            for (index, name) in
                code.lines().enumerate().filter_map(|(index, line)| Some((index, defined(line)?)))
            {
                places.entry(name.to_owned()).or_default().push(format!("{}:{}", file.display(), index + 1));
            }
        }
    }
    places.retain(|_, places| places.len() > 1);
    let is_shared = |name: &str| shared.iter().any(|(known, _)| *known == name);
    let unknown = places.iter().filter(|(name, _)| !is_shared(name));
    let unknown =
        unknown.map(|(name, places)| format!("{}: `{name}` is defined more than once", places.join(", ")));
    let stale = shared.iter().filter(|(name, _)| !places.contains_key(*name));
    let stale = stale
        .map(|(name, _)| format!("xtask/src/check_docs.rs: `{name}` is defined once: take it off the list"));
    Ok(unknown.chain(stale).collect())
}

/// The type that a line of formatted code begins to define; associated types, which are indented, are none.
fn defined(line: &str) -> Option<&str> {
    let item = line.trim_start();
    let item = item.strip_prefix("pub").map_or(item, |rest| {
        rest.strip_prefix('(')
            .and_then(|rest| rest.split_once(')'))
            .map_or(rest, |(_, rest)| rest)
            .trim_start()
    });
    let (keyword, rest) = item.split_once(' ')?;
    let is_type = matches!(keyword, "struct" | "enum" | "union" | "trait");
    let is_alias = keyword == "type" && !line.starts_with(' ');
    let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    (is_type || is_alias).then_some(name).filter(|name| name.starts_with(char::is_uppercase))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf, process};

    use super::*;

    /// A folder with one source, which is gone when dropped.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, source: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("punchclock-docs-{name}-{}", process::id()));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("lib.rs"), source).unwrap();
            Self(folder)
        }

        /// What was found, without the folder's path.
        fn relative(&self, offences: Vec<String>) -> Vec<String> {
            let prefix = format!("{}/", self.0.display());
            offences.into_iter().map(|offence| offence.replace(&prefix, "")).collect()
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn first_lines_that_go_on_from_another_items_are_refused() {
        let source = "//! Of files.\n\n/// Offers a place.\n/// Of two it takes the first.\nstruct Place {\n    \
                      /// From here …\n    start: u64,\n    /// … to here.\n    end: u64,\n}\n\n\
                      /// The same for two.\nfn two() {}\n\n/// Of these, the last.\nfn last() {}\n";
        let tree = Tree::new("lines", source);
        let says = |line: u32, what: &str| {
            format!("lib.rs:{line}: a doc comment begins with `{what}`: say what the item is")
        };
        let expected = [says(1, "Of"), says(8, "…"), says(12, "The same"), says(15, "Of these")];
        assert_eq!(tree.relative(first_lines(&tree.0).unwrap()), expected);
    }

    #[test]
    fn a_type_name_that_two_modules_define_is_refused() {
        let source = "pub struct Row;\nmod table {\n    pub(super) enum Row {}\n    // struct Cell;\n}\n\
                      struct Cell;\ntrait Waits {}\ntype Waits = u64;\nimpl A for B {\n    type Cell = u8;\n}\n";
        let tree = Tree::new("types", source);
        let found = doubles(&[&tree.0], &[("Waits", "a trait and an alias")]).unwrap();
        assert_eq!(tree.relative(found), ["lib.rs:1, lib.rs:3: `Row` is defined more than once"]);
    }

    #[test]
    fn a_name_that_is_not_shared_any_more_leaves_the_list() {
        let tree = Tree::new("stale", "struct Row;\n");
        let found = doubles(&[&tree.0], &[("Row", "two tables")]).unwrap();
        assert_eq!(found, ["xtask/src/check_docs.rs: `Row` is defined once: take it off the list"]);
    }
}

//! `floors`: who may import whom. The tables are in profiler/src/lib.rs, where a reader of the code meets them; this
//! verb reads them there and prints every line that breaks them.

use std::{collections::HashMap, path::Path};

use anyhow::{Context as _, Result, ensure};

use crate::{circles, imports, sources};

/// The roots of the library and of the command: above every floor.
const ROOTS: [&str; 2] = ["lib", "main"];

pub fn run() -> Result<()> {
    let src = Path::new("profiler/src");
    let mut offences = check(src)?;
    let circles = circles::find(src)?;
    offences.extend(circles.iter().map(|circle| format!("a circle of modules: {}", circle.join(", "))));
    for offence in &offences {
        println!("{offence}");
    }
    ensure!(
        offences.is_empty(),
        "failed to keep the floors of profiler/src/lib.rs: {} offences",
        offences.len()
    );
    Ok(())
}

/// Each import below `src` that the tables in its `lib.rs` forbid, as `path:line: message`.
fn check(src: &Path) -> Result<Vec<String>> {
    let tables = Tables::parse(&sources::read(&src.join("lib.rs"))?)?;
    let mut offences = Vec::new();
    for file in sources::below(src)? {
        let place = file.strip_prefix(src).context("failed to place a file")?.with_extension("");
        let mut path = place.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>();
        path.pop_if(|last| *last == "mod");
        // From a root, `super` leads nowhere.
        let depth = if ROOTS.contains(&&*path[0]) { 0 } else { path.len() };
        let code = imports::without_comments(&sources::read(&file)?);
        let found = tables.offences(&path[0], &code, depth);
        offences.extend(found.into_iter().map(|(line, what)| format!("{}:{line}: {what}", file.display())));
    }
    Ok(offences)
}

/// The two ```` ```text ```` blocks of `lib.rs`.
struct Tables {
    /// Module → its floor.
    floors: HashMap<String, u32>,
    /// `a -> b`: a may import b, though they share a floor.
    arrows: Vec<(String, String)>,
    /// Crate → the only modules, or roots, that may name it.
    crates: Vec<(String, Vec<String>)>,
}

impl Tables {
    fn parse(lib: &str) -> Result<Self> {
        let docs = lib.lines().filter_map(|line| line.strip_prefix("//!")).map(str::trim);
        let docs = docs.collect::<Vec<_>>().join("\n");
        let mut blocks = docs.split("```text\n").skip(1).filter_map(|block| block.split("```").next());
        let floors_block = blocks.next().context("failed to find the table of floors in lib.rs")?;
        let crates_block = blocks.next().context("failed to find the table of crates in lib.rs")?;

        let (mut floors, mut arrows) = (HashMap::new(), Vec::new());
        for line in floors_block.lines() {
            let (floor, modules) =
                line.split_once(' ').with_context(|| format!("failed to read `{line}`"))?;
            let floor = floor.parse().with_context(|| format!("failed to read the floor of `{line}`"))?;
            for chain in modules.split('|') {
                let chain = chain.split("->").map(|module| module.trim().to_owned()).collect::<Vec<_>>();
                arrows.extend(chain.windows(2).map(|pair| (pair[0].clone(), pair[1].clone())));
                floors.extend(chain.into_iter().map(|module| (module, floor)));
            }
        }
        let crates = crates_block.lines().map(|line| {
            let (name, places) = line.split_once(':').with_context(|| format!("failed to read `{line}`"))?;
            Ok((name.to_owned(), places.split_whitespace().map(str::to_owned).collect()))
        });
        let crates = crates.collect::<Result<_>>()?;
        Ok(Self { floors, arrows, crates })
    }

    /// The lines of `code`, a file of `module`, that the tables forbid, and why.
    fn offences(&self, module: &str, code: &str, depth: usize) -> Vec<(usize, String)> {
        let imported = imports::modules(code, depth).into_iter();
        let mut found: Vec<_> =
            imported.filter_map(|(line, name)| Some((line, self.refusal(module, name)?))).collect();
        for (name, places) in &self.crates {
            if !places.iter().any(|place| place == module) {
                let message = format!("`{name}` may only be named in {}", places.join(", "));
                found.extend(imports::crates(code, name).into_iter().map(|line| (line, message.clone())));
            }
        }
        found.sort();
        found
    }

    /// Why `from` may not import `to`, if it may not.
    fn refusal(&self, from: &str, to: &str) -> Option<String> {
        let Some(below) = self.floors.get(to) else { return Some(format!("`{to}` has no floor")) };
        if from == to || ROOTS.contains(&from) {
            return None;
        }
        let Some(above) = self.floors.get(from) else { return Some(format!("`{from}` has no floor")) };
        let by_arrow = self.arrows.iter().any(|(a, b)| a == from && b == to);
        let refused = above <= below && !by_arrow;
        refused.then(|| format!("`{from}` (floor {above}) may not import `{to}` (floor {below})"))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, process};

    use super::*;

    const LIB: &str = "//! ```text\n//! 3  cmd -> cli\n//! 2  bpf | render\n//! 1  model\n//! ```\n\
                       //!\n//! ```text\n//! aya: bpf\n//! clap: cli main\n//! ```\npub mod bpf;\n";

    /// What `check` finds in a tree of LIB and these files, without the tree's own path.
    fn check_tree(name: &str, files: &[(&str, &str)]) -> Vec<String> {
        let src = std::env::temp_dir().join(format!("punchclock-floors-{name}-{}", process::id()));
        for (file, text) in [("lib.rs", LIB)].iter().chain(files) {
            let file = src.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let offences = check(&src).unwrap();
        fs::remove_dir_all(&src).unwrap();
        let prefix = format!("{}/", src.display());
        offences.into_iter().map(|offence| offence.replace(&prefix, "")).collect()
    }

    #[test]
    fn lower_floors_arrows_and_oneself_are_allowed() {
        let files = [
            ("main.rs", "use clap::Parser;\nuse profiler::{cli, cmd};\n"),
            (
                "cmd/stat.rs",
                "use crate::{\n    bpf::Probe,\n    cli::Args,\n};\nuse super::super::model::X;\n",
            ),
            ("bpf/mod.rs", "use aya::Ebpf;\nuse crate::{bpf::maps, model::{self, bpf}};\n"),
            (
                "model.rs",
                "// use crate::render\nmod tests {\n    use super::super::model;\n    use super::bpf;\n}\n",
            ),
        ];
        assert_eq!(check_tree("allowed", &files), Vec::<String>::new());
    }

    #[test]
    fn every_way_to_climb_is_found() {
        let files = [
            ("main.rs", "use profiler::audit;\nuse aya::Ebpf;\n"),
            ("bpf/maps.rs", "fn f() {\n    crate::render::svg();\n}\n"),
            ("cli.rs", "use crate::cmd::stat;\n"),
            ("model/mod.rs", "use crate::{\n    model::X,\n    render::{Y, bpf},\n};\nuse super::bpf::Z;\n"),
            ("render.rs", "mod tests {\n    use super::super::{bpf, model};\n}\n#[aya::main]\n"),
        ];
        let expected = [
            "bpf/maps.rs:2: `bpf` (floor 2) may not import `render` (floor 2)",
            "cli.rs:1: `cli` (floor 3) may not import `cmd` (floor 3)",
            "main.rs:1: `audit` has no floor",
            "main.rs:2: `aya` may only be named in bpf",
            "model/mod.rs:3: `model` (floor 1) may not import `render` (floor 2)",
            "model/mod.rs:5: `model` (floor 1) may not import `bpf` (floor 2)",
            "render.rs:2: `render` (floor 2) may not import `bpf` (floor 2)",
            "render.rs:4: `aya` may only be named in bpf",
        ];
        assert_eq!(check_tree("offences", &files), expected);
    }
}

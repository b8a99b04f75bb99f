//! Documents against what they are about: every link leads somewhere, every name on the map is in the sources, and the
//! README's outputs have the shape of what the program prints.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use profiler_common::wait::Reason;
use profiler_tests::{gunicorn::Gunicorn, load::Load, punchclock::run, truth::busy};

/// Folders with documents, from the repository's root.
const DOCUMENTS: [&str; 3] = ["", "docs", "docs/design"];
/// Words before a name that is defined.
const DEFINE: [&str; 7] = ["const", "enum", "fn", "static", "struct", "trait", "type"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("it is a folder");
    entries.map(|entry| entry.expect("it can be listed").path()).collect()
}

/// All files of the repository below a folder that are not built.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let skipped = |path: &PathBuf| ["target", ".git"].iter().any(|name| path.ends_with(name));
    let (folders, files): (Vec<_>, Vec<_>) =
        entries(folder).into_iter().filter(|path| !skipped(path)).partition(|path| path.is_dir());
    files.into_iter().chain(folders.iter().flat_map(|folder| sources(folder))).collect()
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// What stands between an opening and a closing mark, for each pair. The marks differ.
fn between<'t>(text: &'t str, open: &str, close: &str) -> Vec<&'t str> {
    text.split(open).skip(1).filter_map(|rest| Some(rest.split_once(close)?.0)).collect()
}

#[test]
fn links_lead_to_files() {
    let root = root();
    for folder in DOCUMENTS.map(|folder| root.join(folder)) {
        for document in entries(&folder).iter().filter(|path| path.extension().is_some_and(|it| it == "md")) {
            let text = read(document);
            let links = between(&text, "](", ")").into_iter().filter(|link| !link.starts_with("https:"));
            for link in links {
                let file = link.split('#').next().expect("there is a first part");
                assert!(folder.join(file).exists(), "{} links to {link}", document.display());
            }
        }
    }
}

#[test]
fn names_on_the_map_are_in_the_sources() {
    let root = root();
    let files = sources(&root);
    let mut defined = HashSet::new();
    for file in files.iter().filter(|path| is_rust(path)) {
        let text = read(file);
        let words: Vec<_> = words(&text).collect();
        let pairs = words.windows(2).filter(|pair| DEFINE.contains(&pair[0]));
        defined.extend(pairs.map(|pair| pair[1].to_owned()));
    }
    let map = read(&root.join("ARCHITECTURE.md"));
    // What a reader is to make has the name NAME.
    for name in map.split('`').skip(1).step_by(2).filter(|name| !name.contains("NAME")) {
        let is_path = is_rust(Path::new(name)) || name.contains('/') && !name.starts_with('/');
        if is_path {
            let is_there = files.iter().any(|file| file.to_string_lossy().contains(&format!("/{name}")));
            assert!(is_there, "ARCHITECTURE.md names the file {name}");
        } else if name.contains("::")
            || name.starts_with(|c: char| c.is_ascii_uppercase()) && !name.contains('=')
        {
            for word in words(name) {
                assert!(defined.contains(word), "ARCHITECTURE.md names {name}");
            }
        }
    }
}

/// A command whose output the README shows, and that output.
struct Shown<'t> {
    verb: &'t str,
    options: Vec<&'t str>,
    output: &'t str,
}

fn shown(readme: &str) -> Vec<Shown<'_>> {
    let blocks = between(readme, "```console\n$ ", "```").into_iter();
    blocks
        .filter_map(|block| {
            let (command, output) = block.split_once('\n')?;
            let mut words = command.split(' ').skip_while(|word| *word != "punchclock").skip(1);
            Some(Shown { verb: words.next()?, options: words.collect(), output })
        })
        .collect()
}

/// The shape of an output: the heading right above each rule, and the words that lines begin with. Numbers, names of
/// functions and files, and reasons of waits are what happened, and no part of it.
fn shape(output: &str) -> HashSet<String> {
    let lines: Vec<_> = output.lines().collect();
    let headings = lines.windows(2).filter(|pair| pair[1].starts_with('─'));
    let headings = headings.flat_map(|pair| pair[0].split_whitespace());
    // Findings are what happened, too: a line that begins with a mark, and those below that go on.
    let mut in_finding = false;
    let firsts = lines.iter().filter(|line| {
        in_finding = line.starts_with(['*', '!']) || in_finding && line.starts_with("  ");
        !in_finding && !line.starts_with("    ") && !line.contains(".py")
    });
    let firsts = firsts.filter_map(|line| line.split_whitespace().next());
    let is_reason = |word: &str| Reason::ALL.iter().any(|reason| word.starts_with(reason.name()));
    let is_word =
        |word: &&str| word.chars().all(|c| c.is_alphabetic() || "_:-/%".contains(c)) && !is_reason(word);
    headings.chain(firsts).filter(is_word).map(str::to_owned).collect()
}

#[test]
fn outputs_in_the_readme_have_the_shape_of_what_is_printed() {
    // One of those that are in no fleet.
    let (alone, _) = busy();
    alone.stop();
    let readme = read(&root().join("README.md"));
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let [before, after, picture] = ["before.punch", "after.punch", "waits.svg"]
        .map(|name| folder.path().join(name).display().to_string());
    let gunicorn = Gunicorn::start(2, &["--threads", "4"]);
    let master = gunicorn.master().to_string();
    let _load = Load::start(gunicorn.port, 4);
    let record = |to: &str| run(&["record", "-d", "6", "-p", &master, "-o", to]);
    let recorded = record(&before);
    assert!(record(&after).status.success());
    let mut seen = Vec::new();
    for Shown { verb, options, output } in shown(&readme) {
        let printed = match verb {
            "ps" | "doctor" => run(&[verb]),
            "stat" if options.contains(&"--idle") => run(&["stat", "--idle", "-d", "1", "-p", &master]),
            "stat" => run(&["stat", "-d", "2", "-p", &master]),
            "record" => recorded.clone(),
            "dump" => run(&["dump", "-p", &master]),
            "report" => run(&["report", &before, "-o", &picture]),
            "compare" => run(&["compare", &before, &after, "--requests", "100,100", "-v"]),
            // It takes minutes, and its tables have tests of their own.
            "audit" => continue,
            _ => panic!("the README shows a verb {verb}"),
        };
        let text = [printed.stderr, printed.stdout].concat();
        let [wanted, had] = [output, &*String::from_utf8_lossy(&text)].map(shape);
        let missing: Vec<_> = wanted.difference(&had).collect();
        assert!(missing.is_empty(), "{verb} prints no {missing:?}");
        seen.push(verb);
    }
    for verb in ["ps", "stat", "record", "report", "dump", "compare", "doctor"] {
        assert!(seen.contains(&verb), "the README shows no output of {verb}");
    }
}

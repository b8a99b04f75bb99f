//! The text of a frame, `name (file.py:line)`, and the colour of its kind.
//!
//! Paths are shortened to what tells them apart. A package's file is named from its package on, the standard
//! library's from the library on, others by their folder and name; two files that would look alike get as many
//! folders more as it takes.

use std::{collections::HashMap, rc::Rc};

use crate::{
    model::{
        profile::Profile,
        tables::{Frame, FrameKind},
    },
    render::term::escape,
};

/// Where a frame's code comes from: its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tint {
    /// Not code: a fleet, a worker or a thread.
    Root,
    /// The application's own Python.
    Application,
    /// Python of an installed package.
    Package,
    /// Python's standard library.
    Standard,
    /// Native code.
    Native,
    /// The kernel.
    Kernel,
    /// Not code: what is missing, and why.
    Mark,
}

/// One box of a flame graph, one word of a line of folded stacks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// Text of the label, escaped by `term/escape.rs`.
    pub text: Rc<str>,
    /// Colour of the label.
    pub tint: Tint,
}

impl Label {
    /// A label of any text, which is escaped here.
    #[must_use]
    pub fn new(text: &str, tint: Tint) -> Self {
        Self { text: escape::frame(text).into(), tint }
    }
}

/// The labels of a profile's frames.
#[derive(Debug)]
pub struct Labels<'a> {
    profile: &'a Profile,
    files: HashMap<&'a str, String>,
    known: HashMap<&'a Frame, Label>,
}

impl<'a> Labels<'a> {
    /// Shortens all paths of a profile.
    #[must_use]
    pub fn new(profile: &'a Profile) -> Self {
        let files = profile.frames.rows().iter().filter_map(|frame| frame.file);
        let files = shorten(files.map(|file| profile.string(file)));
        Self { profile, files, known: HashMap::new() }
    }

    /// The label of one of the profile's frames.
    pub fn of(&mut self, frame: &'a Frame) -> Label {
        if let Some(label) = self.known.get(frame) {
            return label.clone();
        }
        let label = self.label(frame);
        self.known.insert(frame, label.clone());
        label
    }

    fn label(&self, frame: &Frame) -> Label {
        let name = self.profile.string(frame.name);
        let path = frame.file.map_or("", |file| self.profile.string(file));
        let file = self.files.get(path).map_or("", String::as_str);
        match frame.kind {
            FrameKind::Python => Label::new(&placed(name, file, frame.line), origin(path)),
            FrameKind::Native => Label::new(&placed(name, file, 0), Tint::Native),
            // The suffix by which flame graph tools know the kernel.
            FrameKind::Kernel => Label::new(&format!("{name}_[k]"), Tint::Kernel),
            FrameKind::Mark => Label::new(name, Tint::Mark),
        }
    }
}

fn placed(name: &str, file: &str, line: u32) -> String {
    match (file, line) {
        ("", _) => name.to_owned(),
        (file, 0) => format!("{name} ({file})"),
        (file, line) => format!("{name} ({file}:{line})"),
    }
}

fn origin(path: &str) -> Tint {
    if in_packages(path).is_some() {
        Tint::Package
    } else if in_library(path).is_some() || path.starts_with("<frozen ") {
        Tint::Standard
    } else {
        Tint::Application
    }
}

/// The rest of a path inside of a folder of installed packages.
fn in_packages(path: &str) -> Option<&str> {
    let after = |folder| path.rsplit_once(folder).map(|(_, rest)| rest);
    after("/site-packages/").or_else(|| after("/dist-packages/"))
}

/// The rest of a path inside of a standard library, `…/lib/python3.11/`.
fn in_library(path: &str) -> Option<&str> {
    let (_, rest) = path.rsplit_once("/lib/python3.")?;
    let (minor, rest) = rest.split_once('/')?;
    minor.bytes().all(|digit| digit.is_ascii_digit()).then_some(rest)
}

/// The shortest name of each path, by the rule at the head of this file.
fn shorten<'a>(paths: impl Iterator<Item = &'a str>) -> HashMap<&'a str, String> {
    let mut parts: HashMap<&str, usize> = paths.map(|path| (path, usual_parts(path))).collect();
    loop {
        let mut alike: HashMap<&str, Vec<&str>> = HashMap::new();
        for (path, parts) in &parts {
            alike.entry(last_parts(path, *parts)).or_default().push(path);
        }
        alike.retain(|_, paths| paths.len() > 1);
        if alike.is_empty() {
            return parts
                .into_iter()
                .map(|(path, parts)| (path, last_parts(path, parts).to_owned()))
                .collect();
        }
        // At most one of those that look alike is already whole, so this comes to an end.
        for path in alike.into_values().flatten() {
            parts.entry(path).and_modify(|parts| *parts += 1);
        }
    }
}

/// How many parts of a path are shown if they suffice.
fn usual_parts(path: &str) -> usize {
    match in_packages(path).or_else(|| in_library(path)) {
        Some(rest) => rest.split('/').count(),
        None if path.contains(".py") => 2,
        None => 1,
    }
}

/// The last parts of a path; the whole of it if it has no more.
fn last_parts(path: &str, parts: usize) -> &str {
    match path.rmatch_indices('/').nth(parts.saturating_sub(1)) {
        Some((slash, _)) => &path[slash + 1..],
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{fixture, tables::FrameKind::*};

    fn short(paths: &[&str]) -> Vec<String> {
        let names = shorten(paths.iter().copied());
        paths.iter().map(|path| names[path].clone()).collect()
    }

    #[test]
    fn paths_shrink_to_what_people_call_them() {
        let paths = [
            "/srv/venv/lib/python3.11/site-packages/gunicorn/workers/sync.py",
            "/usr/lib/python3/dist-packages/six.py",
            "/usr/lib/python3.11/json/decoder.py",
            "/usr/lib/python3.11/threading.py",
            "/srv/shop/app/views.py",
            "/app.py",
            "<frozen importlib._bootstrap>",
            "<string>",
            "/usr/lib/x86_64-linux-gnu/libc.so.6",
        ];
        let expected = [
            "gunicorn/workers/sync.py",
            "six.py",
            "json/decoder.py",
            "threading.py",
            "app/views.py",
            "/app.py",
            "<frozen importlib._bootstrap>",
            "<string>",
            "libc.so.6",
        ];
        assert_eq!(short(&paths), expected);
    }

    #[test]
    fn paths_that_would_look_alike_get_more_folders() {
        let paths = ["/srv/a/shop/app.py", "/srv/b/shop/app.py", "/shop/app.py", "shop/app.py"];
        assert_eq!(short(&paths), ["a/shop/app.py", "b/shop/app.py", "/shop/app.py", "shop/app.py"]);
        // The second must not end where the first, a package, began.
        let paths = ["/v/site-packages/p/s/f.py", "/srv/p/s/f.py", "/opt/q/s/f.py"];
        assert_eq!(short(&paths), ["site-packages/p/s/f.py", "srv/p/s/f.py", "q/s/f.py"]);
    }

    #[test]
    fn frames_say_what_they_are() {
        let mut profile = Profile::default();
        let frames = [
            (Python, "Api.get", "/srv/shop/api.py", 7),
            (Python, "run", "/v/lib/python3.11/site-packages/w/core.py", 9),
            (Python, "loads", "/usr/lib/python3.11/json/__init__.py", 0),
            (Python, "<module>", "", 4),
            (Native, "read", "/lib/libc.so.6", 0),
            (Kernel, "vfs_read", "", 0),
            (Mark, "[stack cut short]", "", 0),
            (Python, "evil;\x1b[2J", "/a;b/c\nd.py", 1),
        ];
        fixture::stack(&mut profile, &frames);
        let mut labels = Labels::new(&profile);
        let seen: Vec<_> = profile
            .frames
            .rows()
            .iter()
            .map(|frame| labels.of(frame))
            .map(|label| (label.text.to_string(), label.tint))
            .collect();
        let expected = [
            ("Api.get (shop/api.py:7)", Tint::Application),
            ("run (w/core.py:9)", Tint::Package),
            ("loads (json/__init__.py)", Tint::Standard),
            ("<module>", Tint::Application),
            ("read (libc.so.6)", Tint::Native),
            ("vfs_read_[k]", Tint::Kernel),
            ("[stack cut short]", Tint::Mark),
            (r"evil\x3b\x1b[2J (a\x3bb/c\x0ad.py:1)", Tint::Application),
        ];
        assert_eq!(seen, expected.map(|(text, tint)| (text.to_owned(), tint)));
    }
}

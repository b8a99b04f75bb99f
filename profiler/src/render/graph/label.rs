//! The text of a frame, and the colour of its kind.

use std::{collections::HashMap, rc::Rc};

use profiler_common::wait::Reason;

use crate::{
    model::{
        budget_state::BudgetState,
        mark::Mark,
        profile::Profile,
        tables::{Frame, FrameKind},
    },
    render::{
        location::{self, ShortPaths},
        reason,
        term::escape,
    },
};

/// Files of the import system, whose functions call each other some six deep for each module.
const IMPORT_SYSTEM: &str = "<frozen importlib._bootstrap";

/// Where a frame's code comes from, or what a thread does there: its colour.
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
    /// The part of it that imports modules.
    Import,
    /// Native code.
    Native,
    /// The kernel.
    Kernel,
    /// Not code: what is missing, and why.
    Mark,
    /// Not code: what the thread does, or waits for.
    State(BudgetState),
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

    /// The label of what is no code.
    #[must_use]
    pub fn mark(mark: Mark) -> Self {
        let tint = match mark {
            Mark::OnCpu => Tint::State(BudgetState::OnCpu),
            Mark::RunQueue => Tint::State(BudgetState::RunQueue),
            _ => Tint::Mark,
        };
        Self::new(mark.text(), tint)
    }

    /// The label of what is waited for.
    #[must_use]
    pub fn wait(reason: Reason) -> Self {
        Self::new(&format!("[{}]", reason::label(reason)), Tint::State(BudgetState::Blocked(reason)))
    }
}

/// The labels of a profile's frames.
#[derive(Debug)]
pub struct Labels<'a> {
    profile: &'a Profile,
    paths: ShortPaths<'a>,
    known: HashMap<&'a Frame, Label>,
}

impl<'a> Labels<'a> {
    /// Shortens all paths of a profile.
    #[must_use]
    pub fn new(profile: &'a Profile) -> Self {
        Self { profile, paths: ShortPaths::of_profile(profile), known: HashMap::new() }
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
        let file = self.paths.of(path);
        match frame.kind {
            FrameKind::Python => Label::new(&location::text(name, file, frame.line), origin(path)),
            FrameKind::Native => Label::new(&location::text(name, file, 0), Tint::Native),
            // The suffix by which flame graph tools know the kernel.
            FrameKind::Kernel => Label::new(&format!("{name}_[k]"), Tint::Kernel),
            FrameKind::Mark => Label::new(name, Tint::Mark),
        }
    }
}

fn origin(path: &str) -> Tint {
    if path.starts_with(IMPORT_SYSTEM) {
        Tint::Import
    } else if location::in_packages(path).is_some() {
        Tint::Package
    } else if location::in_library(path).is_some() || path.starts_with("<frozen ") {
        Tint::Standard
    } else {
        Tint::Application
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{fixture, tables::FrameKind::*};

    #[test]
    fn frames_say_what_they_are() {
        let mut profile = Profile::default();
        let frames = [
            (Python, "Api.get", "/srv/shop/api.py", 7),
            (Python, "run", "/v/lib/python3.11/site-packages/w/core.py", 9),
            (Python, "loads", "/usr/lib/python3.11/json/__init__.py", 0),
            (Python, "_find_and_load", "<frozen importlib._bootstrap>", 1360),
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
            ("_find_and_load (<frozen importlib._bootstrap>:1360)", Tint::Import),
            ("<module>", Tint::Application),
            ("read (libc.so.6)", Tint::Native),
            ("vfs_read_[k]", Tint::Kernel),
            ("[stack cut short]", Tint::Mark),
            (r"evil\x3b\x1b[2J (a\x3bb/c\x0ad.py:1)", Tint::Application),
        ];
        assert_eq!(seen, expected.map(|(text, tint)| (text.to_owned(), tint)));
    }
}

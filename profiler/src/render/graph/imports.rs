//! Ladders of imports: for each module the import system calls itself some six deep, which pushes what is looked for out
//! of sight and says no more than that a module is imported. In a picture such a ladder is one box.
//!
//! Files of folded stacks keep all frames: other tools, and people with `grep`, can leave out what is there, but not find
//! what is not.

use crate::render::graph::{
    fold::Folded,
    label::{Label, Tint},
};

/// What stands for a ladder. No function can have this name.
const LADDER: &str = "import (importlib)";

/// Makes one box of each run of frames of the import system. Stacks that become equal are one then; no time is lost.
#[must_use]
pub fn collapse(folded: Folded) -> Folded {
    let mut collapsed = Folded::new();
    for (mut stack, value) in folded {
        collapse_stack(&mut stack);
        *collapsed.entry(stack).or_default() += value;
    }
    collapsed
}

/// Makes one line of each run of frames of the import system.
pub fn collapse_stack(stack: &mut Vec<Label>) {
    // A function that calls itself is no ladder.
    stack.dedup_by(|label, caller| label.tint == Tint::Import && caller.tint == Tint::Import);
    for label in stack.iter_mut().filter(|label| label.tint == Tint::Import) {
        *label = Label::new(LADDER, Tint::Import);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{fixture, profile::Sample, tables::FrameKind::Python},
        render::graph::{
            fold::{GraphOptions, fold},
            folded,
        },
    };

    #[test]
    fn each_module_is_one_box_and_folded_stacks_keep_all() {
        const SYSTEM: &str = "<frozen importlib._bootstrap>";
        const FILES: &str = "<frozen importlib._bootstrap_external>";
        let mut recording = fixture::recording();
        let module = (Python, "<module>", "/srv/shop/a.py", 3);
        let find = [(Python, "_find_and_load", SYSTEM, 1360), (Python, "_load_unlocked", SYSTEM, 935)];
        let exec = (Python, "SourceLoader.exec_module", FILES, 1026);
        let read = (Python, "FileLoader.get_data", FILES, 1186);
        let deep = (Python, "deep", "/srv/shop/a.py", 9);
        let ladders: [&[_]; 4] = [
            &[module, find[0], find[1], exec, module, find[0], find[1]],
            &[module, find[0], find[1], exec, module, find[0], exec, read],
            &[module, find[0], exec, read],
            &[module, deep, deep],
        ];
        let mut sample = |(at, frames): (usize, &&[_])| {
            let stack = fixture::stack(&mut recording.profile, frames);
            Sample { tgid: 1234, tid: 1234, stack, count: 1 << at, ..Sample::default() }
        };
        recording.profile.samples = ladders.iter().enumerate().map(&mut sample).collect();
        let whole = fold(&recording, GraphOptions::default());
        assert!(folded::text(&whole).contains("_load_unlocked (<frozen importlib._bootstrap>:935);"));
        let collapsed = collapse(whole.clone());
        assert_eq!(collapsed.values().sum::<u64>(), whole.values().sum::<u64>());
        let text = folded::text(&collapsed);
        let lines: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("worker 1234;")).collect();
        let (module, import) = ("<module> (shop/a.py:3)", "import (importlib)");
        let deep = "deep (shop/a.py:9)";
        let expected = [
            format!("{module};{deep};{deep} "),
            format!("{module};{import} "),
            format!("{module};{import};{module};{import} "),
        ];
        assert_eq!(lines.len(), 3, "{lines:#?}");
        for (line, expected) in lines.iter().zip(&expected) {
            assert!(line.starts_with(expected), "{line} is not {expected}");
        }
    }
}

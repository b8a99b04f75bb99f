//! Merges a thread's Python frames and its native frames into one stack.
//!
//! Python frames stand in segments: native code calls the interpreter, whose loop runs a segment until that returns. So each
//! of the native stack's loop frames stands for one segment, if the native stack is whole and none was missed. Else the
//! native leaf is all that surely has its place: on top of all Python frames.
//!
//! Where native frames come from is nothing to this module: frame pointers today, tables for unwinding some day.

use crate::python::CodePart;

/// A stack, leaf first.
#[derive(Debug, PartialEq, Eq)]
pub struct Merged<T> {
    /// Frames of the merged stack.
    pub frames: Vec<T>,
    /// False if a native stack that should have been whole did not fit the Python one.
    pub fits: bool,
}

/// Merges two stacks, leaf first: native frames, each with what it is to Python, and Python frames, each with whether native
/// code called it. `is_whole` says that the native stack claims to have all frames. Without Python frames it is all there is.
pub fn merge<T>(native: Vec<(T, CodePart)>, python: Vec<(T, bool)>, is_whole: bool) -> Merged<T> {
    if python.is_empty() {
        return Merged { frames: native.into_iter().map(|(frame, _)| frame).collect(), fits: true };
    }
    let loops = native.iter().filter(|(_, part)| *part == CodePart::Eval).count();
    let segments = python.iter().filter(|(_, is_entry)| *is_entry).count();
    let fits = !is_whole || loops == segments;
    if !is_whole || !fits {
        let native = leaf(native).into_iter();
        return Merged { frames: native.chain(python.into_iter().map(|(frame, _)| frame)).collect(), fits };
    }
    let mut python = python.into_iter();
    let mut frames = Vec::new();
    for (frame, part) in native {
        if part != CodePart::Eval {
            frames.push(frame);
            continue;
        }
        for (frame, is_entry) in python.by_ref() {
            frames.push(frame);
            if is_entry {
                break;
            }
        }
    }
    // The outermost segment may not be marked: it was begun before there was anything to mark it.
    frames.extend(python.map(|(frame, _)| frame));
    Merged { frames, fits }
}

/// What runs above the interpreter, or that part of the interpreter which runs, if it is not its loop. A native stack that
/// does not reach the interpreter lost its way: then only what runs is sure.
fn leaf<T>(native: Vec<(T, CodePart)>) -> Vec<T> {
    let above = native.iter().take_while(|(_, part)| *part == CodePart::Other).count();
    let kept = match native.first() {
        Some((_, CodePart::Interpreter)) => 1,
        _ if above == native.len() => above.min(1),
        _ => above,
    };
    native.into_iter().take(kept).map(|(frame, _)| frame).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PYTHON: [(&str, bool); 3] = [("key", true), ("sort", false), ("main", true)];

    fn merged(native: &[(&'static str, CodePart)], is_whole: bool) -> (Vec<&'static str>, bool) {
        let Merged { frames, fits } = merge(native.to_vec(), PYTHON.to_vec(), is_whole);
        (frames, fits)
    }

    #[test]
    fn native_frames_stand_between_those_who_call_them_and_those_they_call() {
        let native = [
            ("long_add", CodePart::Interpreter),
            ("loop", CodePart::Eval),
            ("list_sort", CodePart::Interpreter),
            ("loop", CodePart::Eval),
            ("main.c", CodePart::Other),
        ];
        let expected = ["long_add", "key", "list_sort", "sort", "main", "main.c"];
        assert_eq!(merged(&native, true), (expected.to_vec(), true));
    }

    #[test]
    fn what_does_not_fit_keeps_its_leaf() {
        let native =
            [("deflate", CodePart::Other), ("compress", CodePart::Interpreter), ("loop", CodePart::Eval)];
        assert_eq!(merged(&native, true), (vec!["deflate", "key", "sort", "main"], false));
        assert_eq!(merged(&native, false), (vec!["deflate", "key", "sort", "main"], true));
        // The loop itself is what the Python frames tell; another part of the interpreter is not.
        assert_eq!(merged(&[("loop", CodePart::Eval)], false).0, ["key", "sort", "main"]);
        assert_eq!(merged(&[("scan", CodePart::Interpreter)], false).0, ["scan", "key", "sort", "main"]);
        let astray = [("deflate", CodePart::Other), ("noise", CodePart::Other)];
        assert_eq!(merged(&astray, false).0, ["deflate", "key", "sort", "main"]);
    }
}

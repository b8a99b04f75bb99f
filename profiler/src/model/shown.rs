//! Limits the size of a profile's stacks when each is written out, as renderers do: a small table of stacks that share their
//! callers can stand for more than fits into memory. Recordings are made to fit, and what is read is checked.

use std::iter;

use crate::model::{
    profile::Profile,
    tables::{StackId, StringId},
};

/// The deepest stack: Python's, native and kernel frames at the collector's limits, several times over.
pub const MAX_DEPTH: u32 = 8192;

/// The longest name that is shown of a frame, in characters; an escaped one takes up to so many bytes.
const MAX_NAME: usize = 240;
const ESCAPED_BYTES: u64 = 8;

/// Size of a stack: frames, and bytes of their names.
#[derive(Clone, Copy, Debug, Default)]
struct StackSize {
    frames: u64,
    bytes: u64,
}

impl StackSize {
    const fn and(self, other: Self) -> Self {
        Self {
            frames: self.frames.saturating_add(other.frames),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

/// What is left for stacks.
#[derive(Clone, Copy, Debug)]
pub struct Left(StackSize);

impl Default for Left {
    /// The limit for the stacks of one recording.
    fn default() -> Self {
        Self(StackSize { frames: 8 << 20, bytes: 256 << 20 })
    }
}

/// Sizes of a profile's stacks.
#[derive(Clone, Debug)]
pub struct StackSizes(Vec<StackSize>);

impl StackSizes {
    /// The size of each stack of a profile, its callers included. Fails if a stack has no end.
    pub fn of(profile: &Profile) -> Result<Self, &'static str> {
        let texts: Vec<u64> = profile.strings.rows().iter().map(|text| shown_bytes(text)).collect();
        let bytes = |text: StringId| texts.get(text.index()).copied().unwrap_or(0);
        let mut sizes: Vec<StackSize> = Vec::with_capacity(profile.stacks.rows().len());
        for stack in profile.stacks.rows() {
            let callers = match stack.caller {
                None => StackSize::default(),
                Some(caller) => *sizes.get(caller.index()).ok_or("a stack comes before its caller")?,
            };
            if callers.frames == u64::from(MAX_DEPTH) {
                return Err("a stack is too deep");
            }
            let frame = profile.frames.get(stack.frame);
            let bytes = frame.map_or(0, |frame| bytes(frame.name) + frame.file.map_or(0, bytes));
            sizes.push(callers.and(StackSize { frames: 1, bytes }));
        }
        Ok(Self(sizes))
    }

    /// Takes a stack from what is left; false if it does not fit.
    pub fn take(&self, stack: Option<StackId>, left: &mut Left) -> bool {
        let size = stack.and_then(|stack| self.0.get(stack.index())).copied().unwrap_or_default();
        let rest = left.0.frames.checked_sub(size.frames).zip(left.0.bytes.checked_sub(size.bytes));
        let Some((frames, bytes)) = rest else { return false };
        *left = Left(StackSize { frames, bytes });
        true
    }
}

/// How many bytes a name takes where it is shown, at most.
fn shown_bytes(name: &str) -> u64 {
    let bytes = |c: char| if c.is_alphanumeric() { c.len_utf8() as u64 } else { ESCAPED_BYTES };
    let plain = |c: char| (c == ' ' || c.is_ascii_graphic()) && !matches!(c, '\\' | ';');
    name.chars().take(MAX_NAME).map(|c| if plain(c) { 1 } else { bytes(c) }).sum()
}

impl Profile {
    /// Leaves the rarest samples and the shortest waits without their stacks, so many that the others can be shown. How many
    /// stacks that are.
    pub fn fit(&mut self, mut left: Left) -> Result<u64, &'static str> {
        let sizes = StackSizes::of(self)?;
        let Self { samples, blocked, preempted, .. } = self;
        let mut samples: Vec<_> =
            samples.iter_mut().map(|sample| (sample.count, &mut sample.stack)).collect();
        let mut blocked: Vec<_> = blocked.iter_mut().map(|row| (row.times.ns, &mut row.stack)).collect();
        let mut preempted: Vec<_> = preempted.iter_mut().map(|row| (row.times.ns, &mut row.stack)).collect();
        for rows in [&mut samples, &mut blocked, &mut preempted] {
            rows.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        }
        let mut dropped = 0;
        let mut rows = [samples, blocked, preempted].map(Vec::into_iter);
        let by_turns = iter::from_fn(|| {
            Some(rows.each_mut().map(Iterator::next)).filter(|turn| turn.iter().any(Option::is_some))
        });
        for (_, stack) in by_turns.flatten().flatten() {
            if !sizes.take(*stack, &mut left) {
                *stack = None;
                dropped += 1;
            }
        }
        Ok(dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        profile::Sample,
        tables::{Frame, FrameKind, Stack},
    };

    /// A profile of so many samples on stacks of three frames, each with one sample more than the one before.
    fn profile(samples: u32) -> Profile {
        let mut profile = Profile::default();
        let name = profile.strings.intern("work".to_owned());
        let frame = profile.frames.intern(Frame { line: 1, ..Frame::named(FrameKind::Python, name) });
        let stack = (0..3).fold(None, |caller, _| Some(profile.stacks.intern(Stack { frame, caller })));
        let sample = |tid| Sample { tid, stack, count: u64::from(tid), ..Sample::default() };
        profile.samples = (1..=samples).map(sample).collect();
        profile
    }

    #[test]
    fn the_rarest_go() {
        for size in [StackSize { frames: 11, bytes: 1000 }, StackSize { frames: 1000, bytes: 47 }] {
            let mut profile = profile(5);
            assert_eq!(profile.fit(Left(size)), Ok(2));
            let kept: Vec<_> = profile.samples.iter().map(|sample| sample.stack.is_some()).collect();
            assert_eq!(kept, [false, false, true, true, true]);
            assert_eq!(profile.samples.iter().map(|sample| sample.count).sum::<u64>(), 15);
        }
        assert_eq!(profile(5).fit(Left::default()), Ok(0));
    }
}

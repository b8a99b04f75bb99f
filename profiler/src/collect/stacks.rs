//! Stacks as they are first seen, their counts, and at the end the profile that these make.

use std::collections::HashMap;

use anyhow::Result;
use profiler_common::{
    config::StackKey,
    counter::Counter,
    event,
    python::{End, PyFrame},
};

use crate::{
    model::{
        profile::{Profile, Sample},
        quality::{Quality, SampleQuality},
        tables::{Frame, FrameKind, Stack, Table},
    },
    python::Interpreter,
    symbolize::{
        native::{self, Modules, Place},
        python::Codes,
    },
};

/// A frame whose native name is not looked up yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Raw {
    Python { name: u32, file: u32, line: u32 },
    Native(Place),
    Kernel(u64),
    Mark(&'static str),
}

/// One distinct stack of a thread.
#[derive(Clone, Copy, Debug)]
struct Described {
    chain: u32,
    end: u32,
    python_len: u32,
}

/// All stacks of a recording.
#[derive(Debug, Default)]
pub struct Stacks {
    strings: Table<String>,
    frames: Table<Raw>,
    chains: Table<Stack>,
    described: HashMap<StackKey, Described>,
    counts: HashMap<StackKey, u64>,
    codes: Codes,
    modules: Modules,
    unreadable: u64,
    unmapped: u64,
}

impl Stacks {
    /// Takes in a new stack; its Python frames get their names now, while its process has them.
    pub fn describe(&mut self, head: &event::Stack, python: &[PyFrame], interpreter: Option<&Interpreter>) {
        let mut chain = None;
        if head.end == End::Truncated as u32 || head.end == End::Unreadable as u32 {
            self.push(&mut chain, Raw::Mark("[outer frames missing]"));
        }
        for frame in python.iter().rev() {
            let raw = self.python_frame(head.tgid, interpreter, frame);
            self.push(&mut chain, raw);
        }
        for frame in self.native_frames(head).into_iter().rev() {
            self.push(&mut chain, frame);
        }
        for &address in head.kernel.iter().take(head.kernel_len as usize).rev() {
            self.push(&mut chain, Raw::Kernel(address));
        }
        if chain.is_none() {
            self.push(&mut chain, Raw::Mark("[no stack]"));
        }
        if let Some(chain) = chain {
            let key = StackKey { hash: head.hash, tgid: head.tgid, tid: head.tid };
            self.described.insert(key, Described { chain, end: head.end, python_len: head.python_len });
        }
    }

    /// Adds counts drained from the kernel.
    pub fn count(&mut self, counts: Vec<(StackKey, u64)>) {
        for (key, count) in counts {
            *self.counts.entry(key).or_default() += count;
        }
    }

    /// Forgets what is known of a process's memory: it runs another program now.
    pub fn forget(&mut self, tgid: u32) {
        self.codes.forget(tgid);
        self.modules.forget(tgid);
    }

    /// The profile of everything counted; what was lost on the way goes to `quality`.
    pub fn into_profile(self, rate_hz: u64, event: &str, quality: &mut Quality) -> Result<Profile> {
        let mut about = SampleQuality {
            event: event.to_owned(),
            stacks: self.counts.len() as u64,
            ..SampleQuality::default()
        };
        let mut undescribed = 0;
        for (key, &count) in &self.counts {
            about.total += count;
            match self.described.get(key) {
                None => undescribed += count,
                Some(stack) if stack.python_len == 0 => {}
                Some(stack) if stack.end == End::Complete as u32 => about.python_complete += count,
                Some(_) => about.python_partial += count,
            }
        }
        quality.samples = Some(about);
        quality.lose(Counter::Undescribed, undescribed);
        quality.lose(Counter::CodeUnreadable, self.unreadable);
        quality.lose(Counter::Unmapped, self.unmapped);
        self.symbolise(rate_hz)
    }

    fn push(&mut self, chain: &mut Option<u32>, frame: Raw) {
        let frame = self.frames.intern(frame);
        *chain = Some(self.chains.intern(Stack { frame, caller: *chain }));
    }

    /// Native frames, leaf first. Where code keeps no frame pointers a chain ends in noise: the first address that
    /// is no code ends it.
    fn native_frames(&mut self, head: &event::Stack) -> Vec<Raw> {
        let mut frames = Vec::new();
        for &address in head.user.iter().take(head.user_len as usize) {
            let Some(place) = self.modules.locate(head.tgid, address) else {
                self.unmapped += 1;
                frames.push(Raw::Mark("[outer frames unknown]"));
                break;
            };
            frames.push(Raw::Native(place));
        }
        frames
    }

    fn python_frame(&mut self, tgid: u32, interpreter: Option<&Interpreter>, frame: &PyFrame) -> Raw {
        let Some(code) = interpreter.and_then(|interpreter| self.codes.get(tgid, interpreter, frame)) else {
            self.unreadable += 1;
            return Raw::Mark("[unreadable Python frame]");
        };
        Raw::Python {
            name: self.strings.intern(code.name.clone()),
            file: self.strings.intern(code.file.clone()),
            line: code.line(frame.instr),
        }
    }

    /// Names what has no name yet. Frames that get the same name become one, and so do their stacks.
    fn symbolise(self, rate_hz: u64) -> Result<Profile> {
        let Self { strings, frames: raw_frames, chains, described, counts, modules, .. } = self;
        let mut places = Vec::new();
        let mut addresses = Vec::new();
        for frame in raw_frames.rows() {
            match frame {
                Raw::Native(place) => places.push(*place),
                Raw::Kernel(address) => addresses.push(*address),
                Raw::Python { .. } | Raw::Mark(_) => {}
            }
        }
        let names = native::names(&modules, &places)?;
        let kernel_names = native::kernel_names(&addresses)?;
        let mut profile = Profile { rate_hz, strings, ..Profile::default() };
        let mut frames = Vec::with_capacity(raw_frames.rows().len());
        for raw in raw_frames.rows() {
            let strings = &mut profile.strings;
            let frame = match raw {
                Raw::Python { name, file, line } => {
                    Frame { kind: FrameKind::Python, name: *name, file: Some(*file), line: *line }
                }
                Raw::Native(place) => {
                    let module = modules.path(place.module).map(|path| path.to_string_lossy().into_owned());
                    let name = names.get(place).cloned().unwrap_or_else(|| "[no symbol]".to_owned());
                    let file = module.map(|module| strings.intern(module));
                    Frame { kind: FrameKind::Native, name: strings.intern(name), file, line: 0 }
                }
                Raw::Kernel(address) => {
                    let name = kernel_names.get(address).cloned().unwrap_or_else(|| "[no symbol]".to_owned());
                    Frame { kind: FrameKind::Kernel, name: strings.intern(name), file: None, line: 0 }
                }
                Raw::Mark(text) => Frame {
                    kind: FrameKind::Mark,
                    name: strings.intern((*text).to_owned()),
                    file: None,
                    line: 0,
                },
            };
            frames.push(profile.frames.intern(frame));
        }
        let mut stacks: Vec<u32> = Vec::with_capacity(chains.rows().len());
        for chain in chains.rows() {
            // A caller was interned before its leaf.
            let caller = chain.caller.map(|caller| stacks[caller as usize]);
            stacks.push(profile.stacks.intern(Stack { frame: frames[chain.frame as usize], caller }));
        }
        let mut merged: HashMap<(u32, u32, Option<u32>), u64> = HashMap::new();
        for (key, count) in counts {
            let stack = described.get(&key).map(|described| stacks[described.chain as usize]);
            *merged.entry((key.tgid, key.tid, stack)).or_default() += count;
        }
        profile.samples = merged
            .into_iter()
            .map(|((tgid, tid, stack), count)| Sample { tgid, tid, stack, count })
            .collect();
        profile.samples.sort_by_key(|sample| (sample.tgid, sample.tid, sample.stack));
        Ok(profile)
    }
}

//! Stacks as the kernel side describes them, and what their waits are for. `build_profile` names them.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
};

use profiler_common::{
    config::{ON_CPU, StackKey},
    event,
    loss_cause::LossCause,
    python::{End, FrameRef, GilState},
    wait::Reason,
};

use crate::{
    bpf::{self, Counts, StackSum},
    collect::{
        departed::{Departed, JoinedKeys, SEVERAL},
        idle_rules::{self, Runs},
        merge::{Merged, merge},
    },
    fleet::Member,
    model::{
        mark::Mark,
        quality::{Losses, Quality, SampleQuality},
        tables::{Id, InternTable, StringId},
    },
    python::{CodePart, Interpreter},
    symbolize::{
        modules::{CodeLocation, FileOffset, Modules},
        python::Codes,
    },
    sys::{heap, memory::Memory},
};

/// The file of the function that every hub of gevent runs.
pub(super) const GEVENT_HUB: &str = "gevent/hub.py";

/// What it takes to keep a stack and its count.
const BYTES: usize = 2 * (size_of::<(StackKey, StackSum)>() + size_of::<(StackKey, Described)>());

/// What it takes to keep a stack that another one describes, and its count.
const KEY_BYTES: usize = 2 * size_of::<(StackKey, StackSum)>() + size_of::<(StackKey, Described)>();

/// A frame whose native name is not looked up yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum UnresolvedFrame {
    Python {
        name: StringId,
        file: StringId,
        line: u32,
        first_line: u32,
    },
    Native(FileOffset),
    /// Code that was made at run time.
    Jit(StringId),
    Kernel(u64),
    KernelNamed(StringId),
    Mark(Mark),
}

/// A chain of such frames: its leaf and the rest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct UnresolvedStack {
    pub(super) frame: Id<UnresolvedFrame>,
    pub(super) caller: Option<Id<UnresolvedStack>>,
}

/// One distinct stack of a thread.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Described {
    pub(super) chain: Id<UnresolvedStack>,
    end: u32,
    python_len: u32,
    /// True if its thread held the GIL; absent if that is not known.
    holds_gil: Option<bool>,
    /// Index of the name of the asyncio task that ran.
    task: Option<StringId>,
    /// What is known of the wait that the kernel cannot know.
    reason: Option<Reason>,
}

/// Kernel frames of a stack.
#[derive(Clone, Copy, Debug)]
pub enum KernelFrames<'a> {
    /// Addresses, leaf first.
    Addresses(&'a [u64]),
    /// Names, leaf first.
    Names(&'a [String]),
}

/// A stack as the kernel side sent it, or as it was read from outside. All parts are leaf first.
#[derive(Clone, Copy, Debug)]
pub struct RawStack<'a> {
    /// Key under which the stack is counted.
    pub key: StackKey,
    /// Memory of its process, from which code objects are read that were not told.
    pub memory: Memory<'a>,
    /// How the Python walk ended ([`End`]).
    pub end: u32,
    /// Python frames of the stack.
    pub python: &'a [FrameRef],
    /// Native user frames of the stack, as addresses.
    pub user: &'a [u64],
    /// Kernel frames of the stack.
    pub kernel: KernelFrames<'a>,
    /// True if its thread held the GIL; absent if that is not known.
    pub holds_gil: Option<bool>,
    /// True if its thread ran a greenlet that is not its main one.
    pub in_greenlet: bool,
    /// Index of the name of the asyncio task that ran.
    pub task: Option<StringId>,
    /// What it waits for, where that is known better than the kernel side knows it.
    pub reason: Option<Reason>,
}

/// All stacks of a recording.
#[derive(Debug, Default)]
pub struct Stacks {
    pub(super) strings: InternTable<String>,
    pub(super) frames: InternTable<UnresolvedFrame>,
    pub(super) chains: InternTable<UnresolvedStack>,
    pub(super) described: HashMap<StackKey, Described>,
    /// The descriptions by their contents' numbers, for the threads that follow.
    contents: HashMap<u64, Described>,
    codes: Codes,
    pub(super) modules: Modules,
    unreadable: u64,
    unmapped: u64,
    /// Stacks whose native part did not fit the Python one.
    apart: u64,
    /// Stacks that were not described for want of memory.
    not_kept: u64,
    /// Threads, by tgid and TID, that became their process's first one.
    renumbered: HashSet<(u32, u32)>,
}

impl Stacks {
    /// Takes in a code object that the kernel side defines.
    pub fn define(&mut self, code: &event::CodeRecord, lines: Option<&[u8]>, interpreter: &Interpreter) {
        self.codes.define(code, lines, interpreter);
    }

    /// Begins a look at a process whose memory is read in pages: what is read of it before the next one begins is of one time.
    pub fn begin_look(&mut self) {
        self.codes.begin_look();
    }

    /// Takes in a new stack that the kernel side describes; what it could not define of it is read now, while its process
    /// has it.
    pub fn add_record(
        &mut self,
        head: &event::StackRecord,
        python: &[FrameRef],
        interpreter: Option<&Interpreter>,
    ) {
        let kernel = head.kernel.get(..head.kernel_len as usize).unwrap_or_default();
        // A task that is gone by now has no name.
        let name = interpreter
            .filter(|_| head.task != 0)
            .and_then(|interpreter| interpreter.task_name(Memory::of(head.key.tgid), head.task));
        let raw_stack = RawStack {
            key: head.key,
            memory: Memory::of(head.key.tgid),
            end: head.end,
            python,
            user: head.user.get(..head.user_len as usize).unwrap_or_default(),
            kernel: KernelFrames::Addresses(kernel),
            holds_gil: match head.gil {
                gil if gil == GilState::Held as u32 => Some(true),
                gil if gil == GilState::Released as u32 => Some(false),
                _ => None,
            },
            in_greenlet: head.in_greenlet != 0,
            task: name.map(|name| self.strings.intern(name)),
            reason: None,
        };
        self.describe(raw_stack, interpreter);
        if let Some(described) = self.described.get(&head.key) {
            self.contents.insert(head.content, *described);
        }
    }

    /// Takes in a stack that says what another one did. If that was not kept, neither is this one.
    pub fn add_known(&mut self, head: &event::KnownStackRecord) {
        match self.contents.get(&head.content) {
            Some(described) if heap::keep(head.key.tgid, KEY_BYTES) => {
                self.described.insert(head.key, *described);
            }
            _ => self.not_kept += 1,
        }
    }

    /// Describes a stack, if there is room to keep it.
    pub fn describe(&mut self, raw_stack: RawStack<'_>, interpreter: Option<&Interpreter>) {
        let RawStack { key, memory, end, python, user, kernel, .. } = raw_stack;
        let RawStack { holds_gil, in_greenlet, task, reason, .. } = raw_stack;
        if !self.described.contains_key(&key) && !heap::keep(key.tgid, BYTES) {
            self.not_kept += 1;
            return;
        }
        let python_len = python.len() as u32;
        let python: Vec<_> =
            python.iter().filter_map(|frame| self.python_frame(memory, interpreter, frame)).collect();
        let mut chain = None;
        if in_greenlet {
            let is_hub = python.last().is_some_and(|(root, _)| self.is_of(root, GEVENT_HUB));
            self.push(
                &mut chain,
                UnresolvedFrame::Mark(if is_hub { Mark::GeventHub } else { Mark::Greenlet }),
            );
        }
        if end == End::Truncated as u32 || end == End::Unreadable as u32 {
            self.push(&mut chain, UnresolvedFrame::Mark(Mark::OuterFramesMissing));
        }
        if end == End::MayBeElsewhere as u32 {
            self.push(&mut chain, UnresolvedFrame::Mark(Mark::SubinterpreterMayBeMissing));
        }
        let is_elsewhere = end == End::OtherInterpreter as u32;
        if is_elsewhere {
            self.push(&mut chain, UnresolvedFrame::Mark(Mark::OtherInterpreterMissing));
        }
        let runs = match interpreter {
            Some(_) if is_elsewhere => Runs::Python,
            Some(_) if !python.is_empty() => Runs::Python,
            Some(_) if end == End::Complete as u32 => Runs::Nothing,
            Some(_) if bpf::parks(key.syscall) => Runs::Native { is_first: key.tid == key.tgid },
            _ => Runs::Python,
        };
        // Which of two interpreters' functions waits is not known.
        let waiting = if is_elsewhere { &[][..] } else { &python };
        let reason = reason.or_else(|| reason_of(&key)).map(|reason| self.reclassify(reason, runs, waiting));
        let native = self.native_frames(key.tgid, interpreter, user);
        // Where code keeps no frame pointers the kernel side has cut the native stack.
        let is_whole = native.iter().any(|(_, part)| *part == CodePart::Eval) && native.len() > 1;
        let Merged { frames, fits } = merge(native, python, is_whole);
        self.apart += u64::from(!fits);
        for frame in frames.into_iter().rev() {
            self.push(&mut chain, frame);
        }
        match kernel {
            KernelFrames::Addresses(addresses) => {
                for &address in addresses.iter().rev() {
                    self.push(&mut chain, UnresolvedFrame::Kernel(address));
                }
            }
            KernelFrames::Names(names) => {
                for name in names.iter().rev() {
                    let name = self.strings.intern(name.clone());
                    self.push(&mut chain, UnresolvedFrame::KernelNamed(name));
                }
            }
        }
        if chain.is_none() {
            self.push(&mut chain, UnresolvedFrame::Mark(Mark::NoStack));
        }
        if let Some(chain) = chain {
            self.described.insert(key, Described { chain, end, python_len, holds_gil, task, reason });
        }
    }

    /// Notes that a process was forked: its memory is a copy of its parent's.
    pub fn inherit(&mut self, tgid: u32, parent_tgid: u32) {
        self.modules.inherit(tgid, parent_tgid);
    }

    /// Forgets what is known of a process's memory: it runs another program now, or none.
    pub fn forget(&mut self, tgid: u32) {
        self.modules.forget(tgid);
    }

    /// Notes that a thread has called `exec`: what it did before by a TID of its own is the process's first one's.
    pub fn renumber(&mut self, tgid: u32, caller_tid: u32) {
        if caller_tid != tgid {
            self.renumbered.insert((tgid, caller_tid));
        }
    }

    /// The keys that the stacks of threads have together which are not listed any more.
    #[must_use]
    pub fn joined<'a>(&self, departed: &'a Departed) -> JoinedKeys<'a> {
        let joined = |(key, described): (&StackKey, &Described)| {
            let tgid = departed.tgid_for(key.tgid, self.tid_of(key))?;
            // Other processes may have other code where this one has its own.
            let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(described).max(1);
            Some((*key, StackKey { hash, tgid, tid: SEVERAL, ..*key }))
        };
        JoinedKeys { departed, described: self.described.iter().filter_map(joined).collect() }
    }

    /// Describes stacks by the keys that several threads have together, and no longer by their own.
    pub fn join(&mut self, joined: &JoinedKeys<'_>) {
        for (key, together) in &joined.described {
            if let Some(described) = self.described.remove(key) {
                self.described.insert(*together, described);
                heap::give_back(key.tgid, KEY_BYTES);
            }
        }
        for (_, Member { tgid, .. }) in &joined.departed.processes {
            self.modules.join(*tgid, joined.departed.tgid_of(*tgid));
            self.renumbered.retain(|(process, _)| process != tgid);
        }
    }

    /// The TID by which a stack's thread is known by now.
    #[must_use]
    pub fn tid_of(&self, key: &StackKey) -> u32 {
        if self.renumbered.contains(&(key.tgid, key.tid)) { key.tgid } else { key.tid }
    }

    /// True if the thread held the GIL on this stack; `None` if that is not known.
    #[must_use]
    pub fn holds_gil(&self, key: &StackKey) -> Option<bool> {
        self.described.get(key)?.holds_gil
    }

    /// Index of the name of the asyncio task that ran on this stack.
    #[must_use]
    pub fn task(&self, key: &StackKey) -> Option<StringId> {
        self.described.get(key)?.task
    }

    /// True of a stack that was described.
    #[must_use]
    pub fn is_described(&self, key: &StackKey) -> bool {
        self.described.contains_key(key)
    }

    /// True if the thread ran Python of an interpreter that is not walked.
    #[must_use]
    pub fn is_elsewhere(&self, key: &StackKey) -> bool {
        self.described.get(key).is_some_and(|described| described.end == End::OtherInterpreter as u32)
    }

    /// True if a stack has a Python frame of a file.
    #[must_use]
    pub fn has_frame_of(&self, key: &StackKey, file_suffix: &str) -> bool {
        let mut next = self.described.get(key).map(|described| described.chain);
        while let Some(stack) = next.and_then(|index| self.chains.get(index)) {
            if self.frames.get(stack.frame).is_some_and(|frame| self.is_of(frame, file_suffix)) {
                return true;
            }
            next = stack.caller;
        }
        false
    }

    fn is_of(&self, frame: &UnresolvedFrame, file_suffix: &str) -> bool {
        matches!(frame, UnresolvedFrame::Python { file, .. } if self.string(*file).ends_with(file_suffix))
    }

    /// What the waits on a stack are for: as the kernel says, or as is known better.
    #[must_use]
    pub fn reason(&self, key: &StackKey) -> Option<Reason> {
        let kernels = reason_of(key)?;
        Some(self.described.get(key).and_then(|described| described.reason).unwrap_or(kernels))
    }

    /// Stacks whose waits are for another reason than the kernel says: with the kernel's reason and the real one.
    pub fn reclassified(&self) -> impl Iterator<Item = (StackKey, Reason, Reason)> {
        self.described.iter().filter_map(|(key, described)| {
            let (from, to) = (reason_of(key)?, described.reason?);
            (from != to).then_some((*key, from, to))
        })
    }

    /// Finds the reason of a wait by its Python frames, leaf first.
    fn reclassify(&self, reason: Reason, runs: Runs, python: &[(UnresolvedFrame, bool)]) -> Reason {
        let frames = python.iter().rev().map(|(frame, _)| match frame {
            UnresolvedFrame::Python { name, file, .. } => (self.string(*name), self.string(*file)),
            // What could not be read is no function that is known.
            _ => ("", ""),
        });
        idle_rules::reclassify(reason, runs, frames)
    }

    fn string(&self, id: StringId) -> &str {
        self.strings.get(id).map_or("", String::as_str)
    }

    /// How complete a window's samples are.
    #[must_use]
    pub fn assess(&self, window: &Counts, event: &str) -> SampleQuality {
        let mut about = SampleQuality { event: event.to_owned(), ..SampleQuality::default() };
        for (key, StackSum { count, .. }) in window.iter().filter(|(key, _)| key.reason == ON_CPU) {
            about.total += count;
            about.stacks += 1;
            match self.holds_gil(key) {
                Some(true) => about.gil_held += count,
                Some(false) => about.gil_released += count,
                None => {}
            }
            match self.described.get(key) {
                Some(stack) if stack.python_len == 0 && stack.end != End::Complete as u32 => {}
                Some(stack) if stack.python_len == 0 => about.python_outside += count,
                Some(stack) if stack.end == End::Complete as u32 => about.python_complete += count,
                Some(_) => about.python_partial += count,
                None => {}
            }
        }
        about
    }

    /// Counts what of a window has a stack that was never described.
    pub fn count_undescribed(&self, window: &Counts, quality: &mut Quality) {
        let undescribed = window.iter().filter(|(key, _)| !self.is_described(key));
        quality.count_loss(LossCause::Undescribed, undescribed.map(|(_, count)| count.count).sum());
    }

    /// What was lost so far between the kernel side and the names.
    #[must_use]
    pub fn losses(&self) -> Losses {
        Losses::from([
            (LossCause::CodeUnreadable, self.unreadable),
            (LossCause::Unmapped, self.unmapped),
            (LossCause::NativeApart, self.apart),
            (LossCause::StackNotKept, self.not_kept),
        ])
    }

    fn push(&mut self, chain: &mut Option<Id<UnresolvedStack>>, frame: UnresolvedFrame) {
        let frame = self.frames.intern(frame);
        *chain = Some(self.chains.intern(UnresolvedStack { frame, caller: *chain }));
    }

    /// Native frames, leaf first, and what they are to Python. Where code keeps no frame pointers a chain ends in noise:
    /// the first address that is no code ends it.
    fn native_frames(
        &mut self,
        tgid: u32,
        interpreter: Option<&Interpreter>,
        user: &[u64],
    ) -> Vec<(UnresolvedFrame, CodePart)> {
        let mut frames = Vec::new();
        for &address in user {
            let Some(found) = self.modules.locate(tgid, address) else {
                // A whole stack may end with a word or two of the C library's start that are no code.
                if !frames.iter().any(|(_, part)| *part == CodePart::Eval) {
                    self.unmapped += 1;
                    frames.push((UnresolvedFrame::Mark(Mark::OuterFramesUnknown), CodePart::Other));
                }
                break;
            };
            let part = interpreter.map_or(CodePart::Other, |interpreter| interpreter.part_at(address));
            let frame = match found {
                CodeLocation::File(place) => UnresolvedFrame::Native(place),
                CodeLocation::Jit(name) => UnresolvedFrame::Jit(self.strings.intern(name)),
            };
            frames.push((frame, part));
        }
        frames
    }

    /// A frame, and whether native code called it; `None` for one that is the interpreter's own.
    fn python_frame(
        &mut self,
        memory: Memory,
        interpreter: Option<&Interpreter>,
        frame: &FrameRef,
    ) -> Option<(UnresolvedFrame, bool)> {
        let frame = self.codes.resolve(memory, interpreter, frame);
        let Some((code, line)) = frame.code else {
            self.unreadable += 1;
            return Some((UnresolvedFrame::Mark(Mark::UnreadablePythonFrame), frame.is_entry));
        };
        if code.is_interpreters() {
            return None;
        }
        let raw = UnresolvedFrame::Python {
            name: self.strings.intern(code.name.clone()),
            file: self.strings.intern(code.file.clone()),
            line,
            first_line: code.first_line,
        };
        Some((raw, frame.is_entry))
    }
}

fn reason_of(key: &StackKey) -> Option<Reason> {
    Reason::ALL.get(key.reason as usize).copied()
}

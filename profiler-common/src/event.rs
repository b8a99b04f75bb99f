//! Ring-buffer records. Each starts with its [`RecordKind`] as a u32; its length is the ring record's.

use bytemuck::{Pod, Zeroable};

use crate::{
    config::StackKey,
    python::{FrameRef, MAX_PY_FRAMES},
    sched::TaskCounters,
    wait::Waits,
};

/// Most addresses kept of a kernel or a native user stack; the leaf part is kept.
pub const MAX_NATIVE_FRAMES: usize = 127;

/// Kind of a ring-buffer record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum RecordKind {
    /// [`StackRecord`]: a thread has a stack that is new for it, and like none that was described.
    Stack = 1,
    /// [`ForkRecord`]: a followed process forked a process (not a thread).
    Fork = 2,
    /// [`ExitRecord`]: a followed thread begins to exit, or is gone.
    Exit = 3,
    /// [`ExecRecord`]: a followed process runs another program now.
    Exec = 4,
    /// [`CodeRecord`]: a code object that no stack had so far.
    Code = 5,
    /// [`ThreadAtEdge`]: a followed thread was about to change while threads were being read.
    ThreadAtEdge = 6,
    /// [`KnownStackRecord`]: a thread has a stack that is new for it, and like one that was described.
    KnownStack = 7,
}

/// Bytes kept of a code object's name, in whatever width its characters have.
pub const MAX_NAME_BYTES: usize = 256;
/// Bytes kept of its file's path.
pub const MAX_FILE_BYTES: usize = 384;
/// Bytes kept of its line table.
pub const MAX_LINES_BYTES: usize = 1024;

/// A code object at first sight, read while it runs: this head, then [`CodeRecord::lines_bytes`] bytes of its line table. It is
/// sent before the first stack that has it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct CodeRecord {
    /// [`RecordKind::Code`].
    pub kind: u32,
    /// The process it was seen in.
    pub tgid: u32,
    /// Number of this definition: a hash of all of it, so that one definition is sent once for many processes.
    pub id: u64,
    /// Address of the code object there.
    pub address: u64,
    /// [`crate::python::identity`] of the code object there.
    pub identity: u64,
    /// `co_firstlineno`.
    pub first_line: u32,
    /// Bytes of the line table behind this head; `u32::MAX` if it has more than [`MAX_LINES_BYTES`], and none are sent.
    pub lines_bytes: u32,
    /// Bytes per character of `name`, as a str's `kind`: 1, 2 or 4.
    pub name_width: u32,
    /// Length of `name`, bytes.
    pub name_bytes: u32,
    /// Bytes per character of `file`, as a str's `kind`: 1, 2 or 4.
    pub file_width: u32,
    /// Length of `file`, bytes.
    pub file_bytes: u32,
    /// Name of the code object.
    pub name: [u64; MAX_NAME_BYTES / 8],
    /// Path of the code object's file.
    pub file: [u64; MAX_FILE_BYTES / 8],
}

impl CodeRecord {
    /// The bytes of its name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        let bytes: &[u8] = bytemuck::cast_slice(&self.name);
        bytes.get(..self.name_bytes as usize).unwrap_or_default()
    }

    /// The bytes of its file's path.
    #[must_use]
    pub fn file(&self) -> &[u8] {
        let bytes: &[u8] = bytemuck::cast_slice(&self.file);
        bytes.get(..self.file_bytes as usize).unwrap_or_default()
    }
}

/// A stack at first sight: this head, then [`StackRecord::python_len`] times [`FrameRef`], leaf first.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct StackRecord {
    /// [`RecordKind::Stack`].
    pub kind: u32,
    /// How the Python walk ended: [`crate::python::End`].
    pub end: u32,
    /// Key of the stack in the map `STACKS`.
    pub key: StackKey,
    /// Addresses in `kernel`.
    pub kernel_len: u32,
    /// Addresses in `user`.
    pub user_len: u32,
    /// Python frames behind this head.
    pub python_len: u32,
    /// 1 if the thread ran a greenlet that is not its main one.
    pub in_greenlet: u32,
    /// [`crate::python::GilState`].
    pub gil: u32,
    /// Padding; zero.
    pub reserved: u32,
    /// The address of the asyncio task that ran, or 0.
    pub task: u64,
    /// On-CPU time of the thread when the wait began (`se.sum_exec_runtime`), ns; only of a wait.
    pub on_cpu: u64,
    /// Number of what the stack says: a hash of all of it, the same for all threads that have such a stack.
    pub content: u64,
    /// The thread's `comm`, NUL padded.
    pub comm: [u8; 16],
    /// Kernel addresses, leaf first.
    pub kernel: [u64; MAX_NATIVE_FRAMES],
    /// Native user addresses by frame pointers, leaf first.
    pub user: [u64; MAX_NATIVE_FRAMES],
}

/// A stack at first sight in its thread, of a content that was described with another thread's.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct KnownStackRecord {
    /// [`RecordKind::KnownStack`].
    pub kind: u32,
    /// Padding; zero.
    pub reserved: u32,
    /// Key of the stack in the map `STACKS`.
    pub key: StackKey,
    /// [`StackRecord::content`].
    pub content: u64,
    /// [`StackRecord::on_cpu`].
    pub on_cpu: u64,
}

/// A followed process forked.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct ForkRecord {
    /// [`RecordKind::Fork`].
    pub kind: u32,
    /// The new process.
    pub tgid: u32,
    /// The process that forked it.
    pub parent_tgid: u32,
    /// Padding; zero.
    pub reserved: u32,
}

/// A followed thread begins to exit, or has run for the last time.
///
/// On its way out a thread leaves the kernel's lists before it stops running: for that while only the first of the
/// two records tells of it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct ExitRecord {
    /// [`RecordKind::Exit`].
    pub kind: u32,
    /// 0 when it begins, 1 at its last switch-out.
    pub is_last: u32,
    /// 1 if no thread of its process lives on.
    pub ends_process: u32,
    /// Wait status of the process, if it ends.
    pub code: u32,
    /// Counters of the thread at that moment; in the last record they are final.
    pub task: TaskCounters,
    /// Waits of the thread at that moment.
    pub waits: Waits,
}

/// One thread in a snapshot.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct ThreadRecord {
    /// Counters of the thread.
    pub task: TaskCounters,
    /// Waits of the thread.
    pub waits: Waits,
}

/// A followed thread as it was before its waits changed for the first time since an edge began.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct ThreadAtEdge {
    /// [`RecordKind::ThreadAtEdge`].
    pub kind: u32,
    /// Padding; zero.
    pub reserved: u32,
    /// The thread as a snapshot of that instant has it, but `waits.edge` is this reading's number.
    pub living: ThreadRecord,
}

/// A followed process called exec: its [`crate::config::FollowedProcess`] entry has been cleared.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct ExecRecord {
    /// [`RecordKind::Exec`].
    pub kind: u32,
    /// The process.
    pub tgid: u32,
    /// The TID that its caller had; from then on it is the process's first thread, and has its TID.
    pub caller_tid: u32,
}

/// A decoded record.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// See [`StackRecord`]; the Python frames are leaf first.
    Stack(&'a StackRecord, &'a [FrameRef]),
    /// See [`KnownStackRecord`].
    KnownStack(KnownStackRecord),
    /// See [`ForkRecord`].
    Fork(ForkRecord),
    /// See [`ExitRecord`].
    Exit(&'a ExitRecord),
    /// See [`ExecRecord`].
    Exec(ExecRecord),
    /// See [`CodeRecord`]; the line table, if it is sent.
    Code(&'a CodeRecord, Option<&'a [u8]>),
    /// See [`ThreadAtEdge`].
    ThreadAtEdge(&'a ThreadRecord),
}

impl<'a> Event<'a> {
    /// Decodes a record that is 8-byte aligned, as the ring's are; `None` if it is not understood.
    #[must_use]
    pub fn decode(record: &'a [u8]) -> Option<Self> {
        let kind = u32::from_ne_bytes(*record.first_chunk()?);
        if kind == RecordKind::Stack as u32 {
            let (head, rest) = record.split_at_checked(size_of::<StackRecord>())?;
            let head: &StackRecord = bytemuck::try_from_bytes(head).ok()?;
            let len = head.python_len as usize;
            let sane = head.kernel_len as usize <= MAX_NATIVE_FRAMES
                && head.user_len as usize <= MAX_NATIVE_FRAMES
                && len <= MAX_PY_FRAMES;
            let frames = rest.get(..len * size_of::<FrameRef>()).filter(|_| sane)?;
            Some(Self::Stack(head, bytemuck::try_cast_slice(frames).ok()?))
        } else if kind == RecordKind::KnownStack as u32 {
            Some(Self::KnownStack(read(record)?))
        } else if kind == RecordKind::Fork as u32 {
            Some(Self::Fork(read(record)?))
        } else if kind == RecordKind::Exit as u32 {
            Some(Self::Exit(bytemuck::try_from_bytes(record.get(..size_of::<ExitRecord>())?).ok()?))
        } else if kind == RecordKind::ThreadAtEdge as u32 {
            let kept: &ThreadAtEdge =
                bytemuck::try_from_bytes(record.get(..size_of::<ThreadAtEdge>())?).ok()?;
            Some(Self::ThreadAtEdge(&kept.living))
        } else if kind == RecordKind::Exec as u32 {
            Some(Self::Exec(read(record)?))
        } else if kind == RecordKind::Code as u32 {
            let (head, rest) = record.split_at_checked(size_of::<CodeRecord>())?;
            let head: &CodeRecord = bytemuck::try_from_bytes(head).ok()?;
            let lines = match head.lines_bytes {
                u32::MAX => None,
                bytes => Some(rest.get(..bytes as usize)?),
            };
            let sane =
                head.name_bytes as usize <= MAX_NAME_BYTES && head.file_bytes as usize <= MAX_FILE_BYTES;
            sane.then_some(Self::Code(head, lines))
        } else {
            None
        }
    }
}

fn read<T: Pod>(record: &[u8]) -> Option<T> {
    record.get(..size_of::<T>()).map(bytemuck::pod_read_unaligned)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;

    use super::*;

    /// Bytes as a ring holds them: 8-byte aligned.
    fn aligned(words: &[u64]) -> &[u8] {
        bytemuck::cast_slice(words)
    }

    #[test]
    fn a_stack_has_the_frames_that_it_says() {
        let mut words = vec![0u64; size_of::<StackRecord>() / 8 + 4];
        let head: &mut StackRecord =
            bytemuck::from_bytes_mut(bytemuck::cast_slice_mut(&mut words[..size_of::<StackRecord>() / 8]));
        (head.kind, head.python_len) = (RecordKind::Stack as u32, 2);
        let Some(Event::Stack(_, frames)) = Event::decode(aligned(&words)) else { panic!("a stack") };
        assert_eq!(frames.len(), 2);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut words = vec![0u64; size_of::<StackRecord>() / 8];
        for (python, user, kernel) in [(1, 0, 0), (u32::MAX, 0, 0), (0, 128, 0), (0, 0, 128)] {
            let head: &mut StackRecord = bytemuck::from_bytes_mut(bytemuck::cast_slice_mut(&mut words));
            (head.kind, head.python_len, head.user_len, head.kernel_len) =
                (RecordKind::Stack as u32, python, user, kernel);
            assert!(Event::decode(aligned(&words)).is_none());
        }
        for kind in [0, RecordKind::KnownStack as u32 + 1, u32::MAX] {
            assert!(Event::decode(aligned(&[u64::from(kind); 40])).is_none());
        }
        for kind in [
            RecordKind::Stack,
            RecordKind::Fork,
            RecordKind::Exit,
            RecordKind::Exec,
            RecordKind::Code,
            RecordKind::ThreadAtEdge,
            RecordKind::KnownStack,
        ] {
            assert!(Event::decode(&(kind as u32).to_ne_bytes()).is_none());
        }
        assert!(Event::decode(&[]).is_none());
    }
}

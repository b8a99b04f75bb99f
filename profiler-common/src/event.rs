//! Ring-buffer records. Each starts with its [`Kind`] as a u32; its length is the ring record's.

use bytemuck::{Pod, Zeroable};

use crate::{
    config::StackKey,
    python::{MAX_PY_FRAMES, PyFrame},
    sched::TaskWords,
    wait::Waits,
};

/// Most addresses kept of a kernel or a native user stack; the leaf part is kept.
pub const MAX_NATIVE_FRAMES: usize = 127;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// [`Stack`]: a thread was sampled on a stack that is new for it.
    Stack = 1,
    /// [`Fork`]: a followed process forked a process (not a thread).
    Fork = 2,
    /// [`Exit`]: a followed thread begins to exit, or is gone.
    Exit = 3,
    /// [`Exec`]: a followed process runs another program now.
    Exec = 4,
}

/// A stack at first sight: this head, then [`Stack::python_len`] times [`PyFrame`], leaf first.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Stack {
    /// [`Kind::Stack`].
    pub kind: u32,
    /// How the Python walk ended: [`crate::python::End`].
    pub end: u32,
    /// Of the `STACKS` map.
    pub key: StackKey,
    /// Addresses in `kernel`.
    pub kernel_len: u32,
    /// Addresses in `user`.
    pub user_len: u32,
    /// Python frames behind this head.
    pub python_len: u32,
    /// 1 if `user` was cut at the interpreter: what is below it are the Python frames.
    pub user_cut: u32,
    /// [`crate::python::Gil`].
    pub gil: u32,
    /// Zero.
    pub reserved: u32,
    /// The address of the asyncio task that ran, or 0.
    pub task: u64,
    /// Of a wait: `se.sum_exec_runtime` when it began.
    pub on_cpu: u64,
    /// The thread's `comm`, NUL padded.
    pub comm: [u8; 16],
    /// Kernel addresses, leaf first.
    pub kernel: [u64; MAX_NATIVE_FRAMES],
    /// Native user addresses by frame pointers, leaf first.
    pub user: [u64; MAX_NATIVE_FRAMES],
}

/// A followed process forked.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Fork {
    /// [`Kind::Fork`].
    pub kind: u32,
    /// The new process.
    pub tgid: u32,
    /// The process that forked it.
    pub parent_tgid: u32,
    /// Zero.
    pub reserved: u32,
}

/// A followed thread begins to exit, or has run for the last time.
///
/// On its way out a thread leaves the kernel's lists before it stops running: for that while only the first of the
/// two records tells of it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Exit {
    /// [`Kind::Exit`].
    pub kind: u32,
    /// 0 when it begins, 1 at its last switch-out.
    pub is_last: u32,
    /// `exit_code`: what `wait` tells of a process, by its first thread.
    pub code: u32,
    /// Zero.
    pub reserved: u32,
    /// Its words then; the last are final.
    pub words: TaskWords,
    /// Its waits then.
    pub waits: Waits,
}

/// What a snapshot tells of one thread.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Living {
    /// Its words.
    pub words: TaskWords,
    /// Its waits.
    pub waits: Waits,
}

/// A followed process called exec: its `Process` entry has been cleared.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Exec {
    /// [`Kind::Exec`].
    pub kind: u32,
    /// The process.
    pub tgid: u32,
}

/// A decoded record.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// See [`Stack`]; the Python frames are leaf first.
    Stack(&'a Stack, &'a [PyFrame]),
    /// See [`Fork`].
    Fork(Fork),
    /// See [`Exit`].
    Exit(&'a Exit),
    /// See [`Exec`].
    Exec(Exec),
}

impl<'a> Event<'a> {
    /// Decodes a record that is 8-byte aligned, as the ring's are; `None` if it is not understood.
    #[must_use]
    pub fn decode(record: &'a [u8]) -> Option<Self> {
        let kind = u32::from_ne_bytes(*record.first_chunk()?);
        if kind == Kind::Stack as u32 {
            let (head, rest) = record.split_at_checked(size_of::<Stack>())?;
            let head: &Stack = bytemuck::try_from_bytes(head).ok()?;
            let len = head.python_len as usize;
            let sane = head.kernel_len as usize <= MAX_NATIVE_FRAMES
                && head.user_len as usize <= MAX_NATIVE_FRAMES
                && len <= MAX_PY_FRAMES;
            let frames = rest.get(..len * size_of::<PyFrame>()).filter(|_| sane)?;
            Some(Self::Stack(head, bytemuck::try_cast_slice(frames).ok()?))
        } else if kind == Kind::Fork as u32 {
            Some(Self::Fork(read(record)?))
        } else if kind == Kind::Exit as u32 {
            Some(Self::Exit(bytemuck::try_from_bytes(record.get(..size_of::<Exit>())?).ok()?))
        } else if kind == Kind::Exec as u32 {
            Some(Self::Exec(read(record)?))
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
        let mut words = vec![0u64; size_of::<Stack>() / 8 + 4];
        let head: &mut Stack =
            bytemuck::from_bytes_mut(bytemuck::cast_slice_mut(&mut words[..size_of::<Stack>() / 8]));
        (head.kind, head.python_len) = (Kind::Stack as u32, 2);
        let Some(Event::Stack(_, frames)) = Event::decode(aligned(&words)) else { panic!("a stack") };
        assert_eq!(frames.len(), 2);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut words = vec![0u64; size_of::<Stack>() / 8];
        for (python, user, kernel) in [(1, 0, 0), (u32::MAX, 0, 0), (0, 128, 0), (0, 0, 128)] {
            let head: &mut Stack = bytemuck::from_bytes_mut(bytemuck::cast_slice_mut(&mut words));
            (head.kind, head.python_len, head.user_len, head.kernel_len) =
                (Kind::Stack as u32, python, user, kernel);
            assert!(Event::decode(aligned(&words)).is_none());
        }
        for kind in [0, 5, u32::MAX] {
            assert!(Event::decode(aligned(&[u64::from(kind); 40])).is_none());
        }
        for kind in [Kind::Stack, Kind::Fork, Kind::Exit, Kind::Exec] {
            assert!(Event::decode(&(kind as u32).to_ne_bytes()).is_none());
        }
        assert!(Event::decode(&[]).is_none());
    }
}

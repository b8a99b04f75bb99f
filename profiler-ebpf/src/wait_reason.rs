//! Why a thread leaves the CPU: from its state, its system call and the call's arguments.

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use profiler_common::{
    python::{GIL_BYTES, PyTarget},
    syscall::{SYSCALLS, SyscallKind},
    wait::{NO_SYSCALL, PREEMPTED, Reason, UNQUEUED},
};

use crate::{process::Followed, rodata, task::Task, user_memory::read_word};

/// `__TASK_STOPPED | __TASK_TRACED | TASK_FROZEN` (include/linux/sched.h); the last one is of version 1's freezer.
const STOPPED: u32 = 0x4 | 0x8 | 0x8000;
/// `TASK_INTERRUPTIBLE`: how a thread sleeps that version 2's freezer holds.
const INTERRUPTIBLE: u32 = 0x1;
/// `JOBCTL_TRAP_FREEZE` (include/linux/sched/jobctl.h): the freezer asks for it. No other sleep that signals end begins then.
const TRAP_FREEZE: u64 = 1 << 23;
/// The part of a mode that tells a file's type, and three types (include/uapi/linux/stat.h).
const TYPE_OF_FILE: u16 = 0o170_000;
const PIPE: u16 = 0o010_000;
const REGULAR: u16 = 0o100_000;
const SOCKET: u16 = 0o140_000;

/// Number of a system call → its [`SyscallKind`]. Filled in by the loader, frozen after.
#[unsafe(no_mangle)]
static SYSTEM_CALLS: [u8; SYSCALLS] = [0; SYSCALLS];

/// Why a thread leaves the CPU: reason, system call and instruction.
#[derive(Clone, Copy)]
pub struct WaitCause {
    /// [`Reason`], [`PREEMPTED`] or [`UNQUEUED`].
    pub reason: u32,
    /// The system call, or [`NO_SYSCALL`].
    pub syscall: u32,
    /// The user's instruction; 0 of a thread that was preempted, which can be at any.
    pub address: u64,
}

impl WaitCause {
    /// The cause of a thread that did not want to leave the CPU.
    #[inline(always)]
    pub fn of_preempted(task: Task) -> Self {
        let reason = if task.state() == 0 { PREEMPTED } else { UNQUEUED };
        Self { reason, syscall: NO_SYSCALL, address: 0 }
    }
}

/// Finds the reason of a thread that is about to sleep, or sleeps.
#[inline(always)]
pub fn wait_reason(task: Task, process: Option<&Followed>) -> WaitCause {
    let registers = task.registers();
    let (syscall, address) = (registers.syscall(), registers.instruction());
    let (first, second) = (registers.first(), registers.second());
    let reason = if is_stopped(task) {
        Reason::Signal
    } else if syscall == NO_SYSCALL {
        Reason::PageFault
    } else {
        in_syscall(task, syscall, first, second, process)
    };
    WaitCause { reason: reason as u32, syscall, address }
}

/// True of a thread that a signal, a debugger or its control group's freezer holds, wherever it was.
#[inline(always)]
fn is_stopped(task: Task) -> bool {
    let state = task.state();
    let is_frozen = state & INTERRUPTIBLE != 0 && task.jobctl() & TRAP_FREEZE != 0;
    state & STOPPED != 0 || is_frozen
}

#[inline(always)]
fn in_syscall(task: Task, syscall: u32, first: u64, second: u64, process: Option<&Followed>) -> Reason {
    let kind = rodata::entry(&SYSTEM_CALLS, syscall).unwrap_or(SyscallKind::Other as u8);
    let is = |syscall: SyscallKind| kind == syscall as u8;
    if is(SyscallKind::Futex) {
        let is_gil = process.is_some_and(|process| {
            let python = process.python();
            first.wrapping_sub(python.gil) < GIL_BYTES
                || first.wrapping_sub(python.unwalked.gil) < GIL_BYTES
                || is_own_gil(first, task.thread_pointer(), python) != 0
        });
        if is_gil { Reason::Gil } else { Reason::Lock }
    } else if is(SyscallKind::Descriptor) {
        reason_by_file_type(task, first as u32)
    } else if is(SyscallKind::Poll) {
        polled(task, first, second as u32)
    } else if is(SyscallKind::Select) {
        if first == 0 { Reason::Sleep } else { Reason::Socket }
    } else if is(SyscallKind::Socket) || is(SyscallKind::Epoll) {
        Reason::Socket
    } else if is(SyscallKind::Sleep) {
        Reason::Sleep
    } else if is(SyscallKind::Accept) {
        Reason::Idle
    } else if is(SyscallKind::Disk) {
        Reason::Disk
    } else if is(SyscallKind::Child) {
        Reason::Child
    } else if is(SyscallKind::Lock) {
        Reason::Lock
    } else if is(SyscallKind::Signal) {
        Reason::Signal
    } else {
        Reason::Other
    }
}

/// 1 for the address of a lock that is a part of the GIL of the subinterpreter that the task is in.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn is_own_gil(address: u64, thread_pointer: u64, python: *const PyTarget) -> u32 {
    // SAFETY: the caller's, live; the verifier wants it compared.
    let Some(python) = (unsafe { python.as_ref() }) else { return 0 };
    u32::from(python.is_in_gil_of_subinterpreter(address, thread_pointer, read_word))
}

/// `poll` of nothing is a sleep; of one or more, the first of `struct pollfd { int fd; … }` tells.
#[inline(always)]
fn polled(task: Task, array: u64, len: u32) -> Reason {
    if len == 0 {
        return Reason::Sleep;
    }
    let mut descriptor = 0u32;
    // SAFETY: four bytes of ours; the helper checks the source. At a switch the task is the current one; elsewhere
    // the read is of another's memory and the answer is the general one.
    let read = unsafe { bpf_probe_read_user((&raw mut descriptor).cast(), 4, array as *const _) };
    if read != 0 {
        return Reason::Socket;
    }
    match reason_by_file_type(task, descriptor) {
        // An event or a timer has no type of its own: something that somebody else makes ready.
        Reason::Other | Reason::Disk => Reason::Socket,
        reason => reason,
    }
}

/// The reason of a wait on a descriptor, by the type of its file.
#[inline(always)]
fn reason_by_file_type(task: Task, descriptor: u32) -> Reason {
    match task.file_mode(descriptor).map(|mode| mode & TYPE_OF_FILE) {
        Some(SOCKET) => Reason::Socket,
        Some(PIPE) => Reason::Pipe,
        Some(REGULAR) => Reason::Disk,
        _ => Reason::Other,
    }
}

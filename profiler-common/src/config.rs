//! Settings that the loader hands to the programs: kernel offsets in rodata, and one [`FollowedProcess`] per followed
//! process.

use bytemuck::{Pod, Zeroable};

use crate::{
    python::PyTarget,
    wait::{Histogram, OpenWait},
};

/// Byte offsets inside the kernel's structs, from `/sys/kernel/btf/vmlinux`.
///
/// A rodata global, so the verifier sees constants: `task + offset` stays a typed pointer and is read
/// without a helper call. `se_*` are offsets from the start of `task_struct`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct KernelOffsets {
    /// `task_struct.pid`, a tid in the initial PID namespace.
    pub task_pid: u32,
    /// `task_struct.tgid`.
    pub task_tgid: u32,
    /// `task_struct.comm`, 16 bytes.
    pub task_comm: u32,
    /// `task_struct.__state`, u32 (kernel ≥ 5.14).
    pub task_state: u32,
    /// `task_struct.jobctl`, a word.
    pub task_jobctl: u32,
    /// `task_struct.on_cpu`, 1 while it runs.
    pub task_on_cpu: u32,
    /// Bytes that it takes: 4, or 1 from kernel 7.2 on.
    pub task_on_cpu_bytes: u32,
    /// `task_struct.exit_code`, i32.
    pub task_exit_code: u32,
    /// `task_struct.group_leader`, a pointer.
    pub task_group_leader: u32,
    /// `task_struct.signal`, a pointer.
    pub task_signal: u32,
    /// `signal_struct.live`, i32: threads that have not begun to exit.
    pub signal_live: u32,
    /// `signal_struct.group_exit_code`, i32.
    pub signal_exit_code: u32,
    /// `task_struct.start_time`, ns.
    pub task_start_time: u32,
    /// `task_struct.nvcsw`.
    pub task_nvcsw: u32,
    /// `task_struct.nivcsw`.
    pub task_nivcsw: u32,
    /// `task_struct.utime`, ns counted in whole ticks.
    pub task_utime: u32,
    /// `task_struct.stime`, ns counted in whole ticks.
    pub task_stime: u32,
    /// `task_struct.sched_info.run_delay`, ns.
    pub task_run_delay: u32,
    /// `task_struct.sched_info.last_queued`, run-queue clock.
    pub task_last_queued: u32,
    /// `task_struct.se.sum_exec_runtime`, ns.
    pub se_sum_exec_runtime: u32,
    /// `task_struct.se.exec_start`, run-queue task clock.
    pub se_exec_start: u32,
    /// `task_struct.se.nr_migrations`.
    pub se_nr_migrations: u32,
    /// `task_struct.se.cfs_rq`, a pointer (`CONFIG_FAIR_GROUP_SCHED`).
    pub se_cfs_rq: u32,
    /// `cfs_rq.rq`, a pointer (`CONFIG_FAIR_GROUP_SCHED`).
    pub cfs_rq_rq: u32,
    /// `rq.clock`, ns of `sched_clock`.
    pub rq_clock: u32,
    /// `rq.clock_task`: `clock` less interrupt and steal time.
    pub rq_clock_task: u32,
    /// `task_struct.thread.fsbase` (`x86_64`) or `thread.uw.tp_value` (aarch64): the thread pointer.
    pub task_thread_pointer: u32,
    /// `task_struct.files`, a pointer.
    pub task_files: u32,
    /// `files_struct.fdt`, a pointer.
    pub files_fdt: u32,
    /// `fdtable.max_fds`, u32.
    pub fdt_max_fds: u32,
    /// `fdtable.fd`, a pointer to an array of pointers.
    pub fdt_fd: u32,
    /// `file.f_inode`, a pointer.
    pub file_inode: u32,
    /// `inode.i_mode`, u16.
    pub inode_mode: u32,
    /// `pt_regs.orig_ax` (`x86_64`) or `syscallno` (aarch64): the system call, −1 for none.
    pub regs_syscall: u32,
    /// The system call's first argument in `pt_regs`.
    pub regs_first: u32,
    /// The system call's second argument in `pt_regs`.
    pub regs_second: u32,
    /// The instruction pointer in `pt_regs`.
    pub regs_ip: u32,
    /// The stack pointer in `pt_regs`.
    pub regs_sp: u32,
    /// This CPU's preemption count less its run queue, both per-CPU variables; 0 if not known.
    pub preempt_count_from_rq: i32,
}

impl Default for StackCount {
    fn default() -> Self {
        Self::zeroed()
    }
}

/// One followed process: the value of the `PROCESSES` map, keyed by tgid.
///
/// Written by the loader and, when a followed process forks, copied to the child by the kernel side:
/// a forked interpreter lies where its parent's did.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct FollowedProcess {
    /// How to walk its Python stacks; [`PyTarget::is_none`] for what is not (yet) a known Python.
    pub python: PyTarget,
    /// Number of the process's fleet, chosen by the loader.
    pub fleet: u32,
    /// 1 for a master.
    pub is_master: u32,
    /// 1 once another code object was seen at the address of a known one: from then on the code objects of each stack are
    /// looked at each time. Set by the kernel side.
    pub code_changes: u32,
    /// Padding; zero.
    pub reserved: u32,
}

/// What is interned when a thread leaves the CPU: it decides which program is on `sched_switch`, and the value of the rodata
/// global `BLOCKED_STACKS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum BlockedStacks {
    /// Nothing: `sched_switch`. The others: `sched_switch_stacks`.
    None = 0,
    /// Python frames: what it takes to tell waiting for work from other waits.
    Python = 1,
    /// Native and kernel frames too.
    All = 2,
}

/// Key of the `STACKS` map: one distinct stack of one thread, sampled on a CPU, blocked or preempted.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct StackKey {
    /// Hash of all columns of the stack; 64 well mixed bits, so two stacks of one thread meet
    /// with a probability of about n²/2⁶⁵.
    pub hash: u64,
    /// The thread's tgid.
    pub tgid: u32,
    /// The thread's tid.
    pub tid: u32,
    /// [`ON_CPU`], or the reason of an [`OpenWait`].
    pub reason: u32,
    /// The system call in which it is blocked, or [`crate::wait::NO_SYSCALL`].
    pub syscall: u32,
}

impl StackKey {
    /// The key of a thread's unfinished wait.
    #[must_use]
    pub const fn of_wait(tgid: u32, tid: u32, open: &OpenWait) -> Self {
        Self { hash: open.hash, tgid, tid, reason: open.reason, syscall: open.syscall }
    }
}

/// In place of a reason: sampled on a CPU.
pub const ON_CPU: u32 = u32::MAX;

/// Bit in the value of the map `EDGE`: threads are being read. A thread whose waits change then first sends how it stood before
/// ([`crate::event::ThreadAtEdge`]), once for each value of `EDGE`. The bits above the lowest two number the readings.
pub const READS_THREADS: u32 = 1;
/// Bit in the value of the map `EDGE`: the map `STACKS` is being read. What is counted meanwhile is counted in `LATE`.
pub const READS_STACKS: u32 = 2;

/// Value of the `STACKS` map.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct StackCount {
    /// Times sampled, or waits that are over.
    pub count: u64,
    /// How long those waits took, ns; 0 on a CPU.
    pub ns: u64,
    /// [`crate::wait::Waits::received`] when the last of those waits began.
    pub received: u32,
    /// Padding; zero.
    pub reserved: u32,
    /// How many of them began without anything received since the one before.
    pub empty: u64,
    /// Lengths of these waits.
    pub lengths: Histogram,
    /// Length of the longest of these waits, from its beginning to its end, ns.
    pub longest: u64,
    /// [`crate::python::identity`] folded over the code objects of the stack that was described; 0 if not known.
    pub identity: u64,
    /// One more than how many code objects had died when they were last looked at (3.14+).
    pub generation: u64,
    /// `count` when the code objects of the stack were last found unchanged.
    pub sure_count: u64,
    /// `ns` when the code objects of the stack were last found unchanged.
    pub sure_ns: u64,
    /// How often the stack was looked up.
    pub lookups: u64,
}

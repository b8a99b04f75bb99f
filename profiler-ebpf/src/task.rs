//! Reads the kernel's `task_struct` as typed memory: offsets are rodata, so no helper is called.

use core::{ffi::c_void, ptr};

use profiler_common::{
    config::KernelOffsets,
    sched::{TASK_DEAD, TaskCounters},
};

/// Filled in by the loader before the programs are loaded; frozen after.
#[unsafe(no_mangle)]
pub static KERNEL: KernelOffsets = KernelOffsets {
    task_pid: 0,
    task_tgid: 0,
    task_comm: 0,
    task_state: 0,
    task_jobctl: 0,
    task_on_cpu: 0,
    task_on_cpu_bytes: 0,
    task_exit_code: 0,
    task_group_leader: 0,
    task_signal: 0,
    signal_live: 0,
    signal_exit_code: 0,
    task_start_time: 0,
    task_nvcsw: 0,
    task_nivcsw: 0,
    task_utime: 0,
    task_stime: 0,
    task_run_delay: 0,
    task_last_queued: 0,
    se_sum_exec_runtime: 0,
    se_exec_start: 0,
    se_nr_migrations: 0,
    se_cfs_rq: 0,
    cfs_rq_rq: 0,
    rq_clock: 0,
    rq_clock_task: 0,
    task_thread_pointer: 0,
    task_files: 0,
    files_fdt: 0,
    fdt_max_fds: 0,
    fdt_fd: 0,
    file_inode: 0,
    inode_mode: 0,
    regs_syscall: 0,
    regs_first: 0,
    regs_second: 0,
    regs_ip: 0,
    regs_sp: 0,
    preempt_count_from_rq: 0,
};

/// One offset, read where the compiler cannot fold the zero it sees above.
macro_rules! offset {
    ($field:ident) => {
        // SAFETY: a field of a static.
        unsafe { core::ptr::read_volatile(&raw const $crate::task::KERNEL.$field) }
    };
}

pub(crate) use offset;

/// A `task_struct` that the verifier knows as such: a tracepoint's argument or the current task; and whatever typed
/// memory is reached from it.
#[derive(Clone, Copy)]
pub struct Task(pub *const c_void);

impl Task {
    pub fn tid(self) -> u32 {
        self.read(offset!(task_pid))
    }

    pub fn tgid(self) -> u32 {
        self.read(offset!(task_tgid))
    }

    pub fn state(self) -> u32 {
        self.read(offset!(task_state))
    }

    /// When the task was born, `CLOCK_MONOTONIC` ns.
    pub fn start_time(self) -> u64 {
        self.read(offset!(task_start_time))
    }

    /// How many threads of the task's process have not begun to exit.
    pub fn live(self) -> u32 {
        self.signal().read(offset!(signal_live))
    }

    /// How its process ended, once no thread of it lives: by what ended all of them, or else as its first one did
    /// (`wait_task_zombie`, kernel/exit.c).
    pub fn process_exit_code(self) -> u32 {
        match self.signal().read(offset!(signal_exit_code)) {
            0 => Self(self.read(offset!(task_group_leader))).read(offset!(task_exit_code)),
            code => code,
        }
    }

    /// What its process's threads share.
    fn signal(self) -> Self {
        Self(self.read(offset!(task_signal)))
    }

    /// True once the task has run for the last time; a process's first thread remains as long as another one lives.
    pub fn is_gone(self) -> bool {
        self.state() & TASK_DEAD != 0 && self.runs() == 0
    }

    /// The thread pointer as of the last switch; glibc and musl set it once per thread.
    pub fn thread_pointer(self) -> u64 {
        self.read(offset!(task_thread_pointer))
    }

    /// True if it waits for something other than a CPU.
    pub fn is_asleep(self) -> bool {
        self.state() != 0 && self.runs() == 0
    }

    /// 1 while it runs on some CPU.
    fn runs(self) -> u32 {
        let offset = offset!(task_on_cpu);
        match offset!(task_on_cpu_bytes) {
            1 => u32::from(self.read::<u8>(offset)),
            _ => self.read(offset),
        }
    }

    /// How often the task went to sleep, this time included.
    pub fn voluntary(self) -> u64 {
        self.read(offset!(task_nvcsw))
    }

    /// On-CPU time of the task up to `left_at`, ns.
    pub fn on_cpu(self) -> u64 {
        self.read(offset!(se_sum_exec_runtime))
    }

    /// Run-queue time of the task, ns, without a wait under way.
    pub fn run_delay(self) -> u64 {
        self.read(offset!(task_run_delay))
    }

    /// When the task was last queued for a CPU, run-queue clock; 0 if it is not waiting for one.
    pub fn last_queued(self) -> u64 {
        self.read(offset!(task_last_queued))
    }

    /// Run queue of the task.
    pub fn queue(self) -> Self {
        Self(Self(self.read(offset!(se_cfs_rq))).read(offset!(cfs_rq_rq)))
    }

    /// Clock of the task's run queue, ns; a switch has just set it.
    pub fn queue_clock(self) -> u64 {
        self.queue().read(offset!(rq_clock))
    }

    /// When the task left the CPU, ns of the run queue's clock: where its on-CPU time ends.
    pub fn left_at(self) -> u64 {
        let queue = self.queue();
        let behind = queue.read::<u64>(offset!(rq_clock)) - queue.read::<u64>(offset!(rq_clock_task));
        self.read::<u64>(offset!(se_exec_start)) + behind
    }

    /// Reads the task's counters. Those of a running thread are brought up to date by ticks and switches on its own CPU
    /// meanwhile; `exec_start` changes with each of those, so the same value before and after means no tear.
    #[inline(always)]
    pub fn read_counters(self, counters: &mut TaskCounters) {
        for _ in 0..4 {
            let before: u64 = self.read(offset!(se_exec_start));
            self.copy(counters);
            if counters.exec_start == before {
                break;
            }
        }
    }

    #[inline(always)]
    fn copy(self, counters: &mut TaskCounters) {
        counters.sum_exec_runtime = self.read(offset!(se_sum_exec_runtime));
        counters.run_delay = self.read(offset!(task_run_delay));
        counters.last_queued = self.read(offset!(task_last_queued));
        counters.voluntary = self.read(offset!(task_nvcsw));
        counters.preempted = self.read(offset!(task_nivcsw));
        counters.migrations = self.read(offset!(se_nr_migrations));
        counters.utime = self.read(offset!(task_utime));
        counters.stime = self.read(offset!(task_stime));
        counters.thread_pointer = self.thread_pointer();
        counters.start_time = self.start_time();
        counters.state = self.state();
        counters.on_cpu = self.runs();
        counters.tid = self.tid();
        counters.tgid = self.tgid();
        counters.comm = self.read(offset!(task_comm));
        let rq = self.queue();
        counters.rq_clock = rq.read(offset!(rq_clock));
        counters.rq_clock_task = rq.read(offset!(rq_clock_task));
        // SAFETY: no arguments.
        counters.read_ns = unsafe { aya_ebpf::helpers::bpf_ktime_get_ns() };
        counters.exec_start = self.read(offset!(se_exec_start));
    }

    /// A field.
    #[inline(always)]
    pub fn read<T>(self, offset: u32) -> T {
        // SAFETY: a load from a typed kernel pointer; the kernel gives zeros should it fault.
        unsafe { ptr::read_volatile(self.0.byte_add(offset as usize).cast()) }
    }
}

//! Reads a thread as the kernel has it: its `task_struct`, and what its process shares.

use aya_ebpf::helpers::{bpf_ktime_get_ns, generated::bpf_get_current_task_btf};
use profiler_common::sched::{TASK_DEAD, TaskCounters};

use crate::{
    kernel::{KERNEL, KernelField, KernelPtr},
    rodata,
    run_queue::{CfsRq, Rq},
};

/// A thread: a tracepoint's argument, the current one, or one reached from these.
pub type Task = KernelPtr<TaskStruct>;

/// `struct task_struct` (include/linux/sched.h).
pub enum TaskStruct {}

const PID: KernelField<TaskStruct, u32> = KernelField::at(&KERNEL.task_pid);
const TGID: KernelField<TaskStruct, u32> = KernelField::at(&KERNEL.task_tgid);
const COMM: KernelField<TaskStruct, [u8; 16]> = KernelField::at(&KERNEL.task_comm);
const STATE: KernelField<TaskStruct, u32> = KernelField::at(&KERNEL.task_state);
const JOBCTL: KernelField<TaskStruct, u64> = KernelField::at(&KERNEL.task_jobctl);
const ON_CPU: KernelField<TaskStruct, u32> = KernelField::at(&KERNEL.task_on_cpu);
const ON_CPU_BYTE: KernelField<TaskStruct, u8> = KernelField::at(&KERNEL.task_on_cpu);
const EXIT_CODE: KernelField<TaskStruct, u32> = KernelField::at(&KERNEL.task_exit_code);
const GROUP_LEADER: KernelField<TaskStruct, Task> = KernelField::at(&KERNEL.task_group_leader);
const SIGNAL: KernelField<TaskStruct, KernelPtr<SignalStruct>> = KernelField::at(&KERNEL.task_signal);
const START_TIME: KernelField<TaskStruct, u64> = KernelField::at(&KERNEL.task_start_time);
const NVCSW: KernelField<TaskStruct, u64> = KernelField::at(&KERNEL.task_nvcsw);
const NIVCSW: KernelField<TaskStruct, u64> = KernelField::at(&KERNEL.task_nivcsw);
const UTIME: KernelField<TaskStruct, u64> = KernelField::at(&KERNEL.task_utime);
const STIME: KernelField<TaskStruct, u64> = KernelField::at(&KERNEL.task_stime);
const RUN_DELAY: KernelField<TaskStruct, u64> = KernelField::at(&KERNEL.task_run_delay);
const LAST_QUEUED: KernelField<TaskStruct, u64> = KernelField::at(&KERNEL.task_last_queued);
const SUM_EXEC_RUNTIME: KernelField<TaskStruct, u64> = KernelField::at(&KERNEL.se_sum_exec_runtime);
const EXEC_START: KernelField<TaskStruct, u64> = KernelField::at(&KERNEL.se_exec_start);
const NR_MIGRATIONS: KernelField<TaskStruct, u64> = KernelField::at(&KERNEL.se_nr_migrations);
const CFS_RQ: KernelField<TaskStruct, KernelPtr<CfsRq>> = KernelField::at(&KERNEL.se_cfs_rq);
const THREAD_POINTER: KernelField<TaskStruct, u64> = KernelField::at(&KERNEL.task_thread_pointer);

/// `struct signal_struct` (include/linux/sched/signal.h): what a process's threads share.
pub enum SignalStruct {}

const LIVE: KernelField<SignalStruct, u32> = KernelField::at(&KERNEL.signal_live);
const GROUP_EXIT_CODE: KernelField<SignalStruct, u32> = KernelField::at(&KERNEL.signal_exit_code);

impl Task {
    /// The thread that runs the program, or that it interrupts.
    #[inline(always)]
    pub fn current() -> Self {
        // SAFETY: no arguments.
        Self::new(unsafe { bpf_get_current_task_btf() }.cast_const().cast())
    }

    pub fn tid(self) -> u32 {
        self.read(PID)
    }

    pub fn tgid(self) -> u32 {
        self.read(TGID)
    }

    pub fn state(self) -> u32 {
        self.read(STATE)
    }

    /// What signals, debuggers and the freezer want of the task: `JOBCTL_…` (include/linux/sched/jobctl.h).
    pub fn jobctl(self) -> u64 {
        self.read(JOBCTL)
    }

    /// When the task was born, `CLOCK_MONOTONIC` ns.
    pub fn start_time(self) -> u64 {
        self.read(START_TIME)
    }

    /// How many threads of the task's process have not begun to exit.
    pub fn live(self) -> u32 {
        self.read(SIGNAL).read(LIVE)
    }

    /// How its process ended, once no thread of it lives: by what ended all of them, or else as its first one did
    /// (`wait_task_zombie`, kernel/exit.c).
    pub fn process_exit_code(self) -> u32 {
        match self.read(SIGNAL).read(GROUP_EXIT_CODE) {
            0 => self.read(GROUP_LEADER).read(EXIT_CODE),
            code => code,
        }
    }

    /// True once the task has run for the last time; a process's first thread remains as long as another one lives.
    pub fn is_gone(self) -> bool {
        self.state() & TASK_DEAD != 0 && self.runs() == 0
    }

    /// The thread pointer as of the last switch; glibc and musl set it once per thread.
    pub fn thread_pointer(self) -> u64 {
        self.read(THREAD_POINTER)
    }

    /// True if it waits for something other than a CPU.
    pub fn is_asleep(self) -> bool {
        self.state() != 0 && self.runs() == 0
    }

    /// 1 while it runs on some CPU.
    fn runs(self) -> u32 {
        match rodata::read(&KERNEL.task_on_cpu_bytes) {
            1 => u32::from(self.read(ON_CPU_BYTE)),
            _ => self.read(ON_CPU),
        }
    }

    /// How often the task went to sleep, this time included.
    pub fn voluntary(self) -> u64 {
        self.read(NVCSW)
    }

    /// On-CPU time of the task up to `left_at`, ns.
    pub fn on_cpu(self) -> u64 {
        self.read(SUM_EXEC_RUNTIME)
    }

    /// Run-queue time of the task, ns, without a wait under way.
    pub fn run_delay(self) -> u64 {
        self.read(RUN_DELAY)
    }

    /// When the task was last queued for a CPU, run-queue clock; 0 if it is not waiting for one.
    pub fn last_queued(self) -> u64 {
        self.read(LAST_QUEUED)
    }

    /// Run queue of the task.
    pub fn queue(self) -> KernelPtr<Rq> {
        self.read(CFS_RQ).rq()
    }

    /// When the task left the CPU, ns of the run queue's clock: where its on-CPU time ends.
    pub fn left_at(self) -> u64 {
        let queue = self.queue();
        let behind = queue.clock() - queue.clock_task();
        self.read(EXEC_START) + behind
    }

    /// Reads the task's counters. Those of a running thread are brought up to date by ticks and switches on its own CPU
    /// meanwhile; `exec_start` changes with each of those, so the same value before and after means no tear.
    #[inline(always)]
    pub fn read_counters(self, counters: &mut TaskCounters) {
        for _ in 0..4 {
            let before = self.read(EXEC_START);
            self.copy(counters);
            if counters.exec_start == before {
                break;
            }
        }
    }

    #[inline(always)]
    fn copy(self, counters: &mut TaskCounters) {
        counters.sum_exec_runtime = self.on_cpu();
        counters.run_delay = self.run_delay();
        counters.last_queued = self.last_queued();
        counters.voluntary = self.voluntary();
        counters.preempted = self.read(NIVCSW);
        counters.migrations = self.read(NR_MIGRATIONS);
        counters.utime = self.read(UTIME);
        counters.stime = self.read(STIME);
        counters.thread_pointer = self.thread_pointer();
        counters.start_time = self.start_time();
        counters.state = self.state();
        counters.on_cpu = self.runs();
        counters.tid = self.tid();
        counters.tgid = self.tgid();
        counters.comm = self.read(COMM);
        let queue = self.queue();
        counters.rq_clock = queue.clock();
        counters.rq_clock_task = queue.clock_task();
        // SAFETY: no arguments.
        counters.read_ns = unsafe { bpf_ktime_get_ns() };
        counters.exec_start = self.read(EXEC_START);
    }
}

//! Where the fields that the programs read stand in this kernel's structs.

use profiler_common::config::KernelOffsets;

use crate::sys::btf::Btf;

/// The tracepoints that the programs hang on.
pub const TRACEPOINTS: [&str; 6] = [
    "sched_switch",
    "sched_waking",
    "sched_process_fork",
    "sched_process_exec",
    "sched_process_exit",
    "sched_process_free",
];

/// The one that tells who ends a wait.
pub const WAKERS: &str = "sched_waking";

/// The one that tells whether a thread that was woken found work; newer kernels have it.
pub const RECEIPTS: &str = "sock_recv_length";

/// Other features, by functions that come with them.
const FUNCTIONS: [(&str, &str); 2] =
    [("bpf_iter_task", "task iterator"), ("bpf_task_storage_get", "task storage in tracing programs")];

#[cfg(target_arch = "x86_64")]
const THREAD_POINTER: &str = "thread.fsbase";
#[cfg(target_arch = "aarch64")]
const THREAD_POINTER: &str = "thread.uw.tp_value";

/// A register that the kernel saves when a system call begins.
#[derive(Clone, Copy)]
struct Register {
    field: &'static str,
    /// In the array that the field is.
    index: u32,
}

/// The system call's number, its first and second arguments, and the instruction.
#[cfg(target_arch = "x86_64")]
const CALL_REGISTERS: [Register; 4] = [
    Register { field: "orig_ax", index: 0 },
    Register { field: "di", index: 0 },
    Register { field: "si", index: 0 },
    Register { field: "ip", index: 0 },
];
#[cfg(target_arch = "aarch64")]
const CALL_REGISTERS: [Register; 4] = [
    Register { field: "syscallno", index: 0 },
    Register { field: "orig_x0", index: 0 },
    Register { field: "regs", index: 1 },
    Register { field: "pc", index: 0 },
];

/// All offsets; the error names the first field that this kernel has not.
pub fn kernel_offsets(btf: &Btf) -> Result<KernelOffsets, String> {
    let offset = |of: &str, path: &str| {
        btf.offset(of, path).ok_or_else(|| format!("the kernel's `{of}` has no field `{path}`"))
    };
    let task = |path: &str| offset("task_struct", path);
    let registers =
        |register: Register| offset("pt_regs", register.field).map(|offset| offset + 8 * register.index);
    Ok(KernelOffsets {
        task_pid: task("pid")?,
        task_tgid: task("tgid")?,
        task_comm: task("comm")?,
        task_state: task("__state")?,
        task_on_cpu: task("on_cpu")?,
        task_exit_code: task("exit_code")?,
        task_start_boottime: task("start_boottime")?,
        task_nvcsw: task("nvcsw")?,
        task_nivcsw: task("nivcsw")?,
        task_utime: task("utime")?,
        task_stime: task("stime")?,
        task_run_delay: task("sched_info.run_delay")?,
        task_last_queued: task("sched_info.last_queued")?,
        se_sum_exec_runtime: task("se.sum_exec_runtime")?,
        se_exec_start: task("se.exec_start")?,
        se_nr_migrations: task("se.nr_migrations")?,
        se_cfs_rq: task("se.cfs_rq")?,
        cfs_rq_rq: offset("cfs_rq", "rq")?,
        rq_clock: offset("rq", "clock")?,
        rq_clock_task: offset("rq", "clock_task")?,
        task_thread_pointer: task(THREAD_POINTER)?,
        task_files: task("files")?,
        files_fdt: offset("files_struct", "fdt")?,
        fdt_max_fds: offset("fdtable", "max_fds")?,
        fdt_fd: offset("fdtable", "fd")?,
        file_inode: offset("file", "f_inode")?,
        inode_mode: offset("inode", "i_mode")?,
        regs_call: registers(CALL_REGISTERS[0])?,
        regs_first: registers(CALL_REGISTERS[1])?,
        regs_second: registers(CALL_REGISTERS[2])?,
        regs_ip: registers(CALL_REGISTERS[3])?,
        preempt_count_from_rq: preempt_count_from_rq(btf).unwrap_or(0),
    })
}

/// Since 6.15 the count is a variable of its own, from 6.2 on it was a part of a hot one.
fn preempt_count_from_rq(btf: &Btf) -> Option<i32> {
    btf.per_cpu_distance("runqueues", "__preempt_count").or_else(|| {
        let within = i32::try_from(btf.offset("pcpu_hot", "preempt_count")?).ok()?;
        Some(btf.per_cpu_distance("runqueues", "pcpu_hot")? + within)
    })
}

/// What the programs need of a kernel and this one has not, as clauses.
#[must_use]
pub fn missing_kernel_features(btf: &Btf) -> Vec<String> {
    let tracepoints = TRACEPOINTS
        .iter()
        .filter(|name| !btf.has_tracepoint(name))
        .map(|name| format!("the kernel has no tracepoint `{name}`"));
    let functions = FUNCTIONS
        .iter()
        .filter(|(name, _)| !btf.has_function(name))
        .map(|(name, what)| format!("the kernel has no {what} (`{name}`)"));
    tracepoints.chain(functions).chain(kernel_offsets(btf).err()).collect()
}

/// True if the kernel has `bpf_loop`, by which stacks are walked (≥ 5.17).
#[must_use]
pub fn can_walk(btf: &Btf) -> bool {
    btf.has_function("bpf_loop")
}

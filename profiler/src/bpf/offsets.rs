//! Offsets of the kernel's struct fields that the programs read, from BTF.

use profiler_common::config::KernelOffsets;

use crate::sys::btf::{Btf, Field};

/// The tracepoints that the programs hang on.
pub const TRACEPOINTS: [&str; 6] = [
    SWITCH_TRACEPOINT,
    WAKING_TRACEPOINT,
    "sched_process_fork",
    "sched_process_exec",
    "sched_process_exit",
    "sched_process_free",
];

/// Tracepoint at which threads leave CPUs and come back.
pub const SWITCH_TRACEPOINT: &str = "sched_switch";

/// Tracepoint that tells who ends a wait.
pub const WAKING_TRACEPOINT: &str = "sched_waking";

/// Tracepoint that tells whether a thread that was woken found work; newer kernels have it.
pub const RECV_TRACEPOINT: &str = "sock_recv_length";

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
    /// Length of the whole field, bytes.
    bytes: u32,
    /// Index in the array that the field is.
    index: u32,
}

/// The system call's number, its first and second arguments, and the instruction.
#[cfg(target_arch = "x86_64")]
const CALL_REGISTERS: [Register; 4] = [
    Register { field: "orig_ax", bytes: 8, index: 0 },
    Register { field: "di", bytes: 8, index: 0 },
    Register { field: "si", bytes: 8, index: 0 },
    Register { field: "ip", bytes: 8, index: 0 },
];
#[cfg(target_arch = "aarch64")]
const CALL_REGISTERS: [Register; 4] = [
    Register { field: "syscallno", bytes: 4, index: 0 },
    Register { field: "orig_x0", bytes: 8, index: 0 },
    Register { field: "regs", bytes: 8 * 31, index: 1 },
    Register { field: "pc", bytes: 8, index: 0 },
];

/// All offsets; the error names the first field that this kernel has not, or not in a size that the programs read.
pub fn kernel_offsets(btf: &Btf) -> Result<KernelOffsets, String> {
    let field = |of: &str, path: &str, sizes: &[u32]| -> Result<(u32, u32), String> {
        let Field { offset, bytes } =
            btf.field(of, path).ok_or_else(|| format!("the kernel's `{of}` has no field `{path}`"))?;
        let bytes = bytes.ok_or_else(|| format!("the kernel's `{of}.{path}` is a bit-field"))?;
        if sizes.contains(&bytes) {
            return Ok((offset, bytes));
        }
        let known: Vec<_> = sizes.iter().map(u32::to_string).collect();
        Err(format!("the kernel's `{of}.{path}` has {bytes} bytes, not {}", known.join(" or ")))
    };
    let offset = |of: &str, path: &str, bytes: u32| field(of, path, &[bytes]).map(|(offset, _)| offset);
    let task = |path: &str, bytes: u32| offset("task_struct", path, bytes);
    let registers = |Register { field, bytes, index }: Register| {
        offset("pt_regs", field, bytes).map(|offset| offset + 8 * index)
    };
    let (task_on_cpu, task_on_cpu_bytes) = field("task_struct", "on_cpu", &[1, 4])?;
    Ok(KernelOffsets {
        task_pid: task("pid", 4)?,
        task_tgid: task("tgid", 4)?,
        task_comm: task("comm", 16)?,
        task_state: task("__state", 4)?,
        task_jobctl: task("jobctl", 8)?,
        task_on_cpu,
        task_on_cpu_bytes,
        task_exit_code: task("exit_code", 4)?,
        task_group_leader: task("group_leader", 8)?,
        task_signal: task("signal", 8)?,
        signal_live: offset("signal_struct", "live", 4)?,
        signal_exit_code: offset("signal_struct", "group_exit_code", 4)?,
        task_start_time: task("start_time", 8)?,
        task_nvcsw: task("nvcsw", 8)?,
        task_nivcsw: task("nivcsw", 8)?,
        task_utime: task("utime", 8)?,
        task_stime: task("stime", 8)?,
        task_run_delay: task("sched_info.run_delay", 8)?,
        task_last_queued: task("sched_info.last_queued", 8)?,
        se_sum_exec_runtime: task("se.sum_exec_runtime", 8)?,
        se_exec_start: task("se.exec_start", 8)?,
        se_nr_migrations: task("se.nr_migrations", 8)?,
        se_cfs_rq: task("se.cfs_rq", 8)?,
        cfs_rq_rq: offset("cfs_rq", "rq", 8)?,
        rq_clock: offset("rq", "clock", 8)?,
        rq_clock_task: offset("rq", "clock_task", 8)?,
        task_thread_pointer: task(THREAD_POINTER, 8)?,
        task_files: task("files", 8)?,
        files_fdt: offset("files_struct", "fdt", 8)?,
        fdt_max_fds: offset("fdtable", "max_fds", 4)?,
        fdt_fd: offset("fdtable", "fd", 8)?,
        file_inode: offset("file", "f_inode", 8)?,
        inode_mode: offset("inode", "i_mode", 2)?,
        regs_syscall: registers(CALL_REGISTERS[0])?,
        regs_first: registers(CALL_REGISTERS[1])?,
        regs_second: registers(CALL_REGISTERS[2])?,
        regs_ip: registers(CALL_REGISTERS[3])?,
        regs_sp: registers(Register { field: "sp", bytes: 8, index: 0 })?,
        preempt_count_from_rq: preempt_count_from_rq(btf).unwrap_or(0),
    })
}

/// Since 6.15 the count is a variable of its own, from 6.2 on it was a part of a hot one.
fn preempt_count_from_rq(btf: &Btf) -> Option<i32> {
    btf.per_cpu_distance("runqueues", "__preempt_count").or_else(|| {
        let within = i32::try_from(btf.field("pcpu_hot", "preempt_count")?.offset).ok()?;
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

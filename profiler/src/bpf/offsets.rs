//! Where the fields that the programs read stand in this kernel's structs.

use profiler_common::config::KernelOffsets;

use crate::sys::btf::Btf;

/// The tracepoints that the programs hang on.
pub const TRACEPOINTS: [&str; 5] =
    ["sched_switch", "sched_process_fork", "sched_process_exec", "sched_process_exit", "sched_process_free"];

#[cfg(target_arch = "x86_64")]
const THREAD_POINTER: &str = "thread.fsbase";
#[cfg(target_arch = "aarch64")]
const THREAD_POINTER: &str = "thread.uw.tp_value";

/// All offsets; the error names the first field that this kernel has not.
pub fn kernel_offsets(btf: &Btf) -> Result<KernelOffsets, String> {
    let offset = |of: &str, path: &str| {
        btf.offset(of, path).ok_or_else(|| format!("the kernel's `{of}` has no field `{path}`"))
    };
    let task = |path: &str| offset("task_struct", path);
    Ok(KernelOffsets {
        task_pid: task("pid")?,
        task_tgid: task("tgid")?,
        task_comm: task("comm")?,
        task_state: task("__state")?,
        task_on_cpu: task("on_cpu")?,
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
    })
}

/// What the programs need of a kernel and this one has not, as clauses.
#[must_use]
pub fn missing_kernel_features(btf: &Btf) -> Vec<String> {
    let tracepoints = TRACEPOINTS
        .iter()
        .filter(|name| !btf.has_tracepoint(name))
        .map(|name| format!("the kernel has no tracepoint `{name}`"));
    let iterator = (!btf.has_function("bpf_iter_task")).then(|| "the kernel has no task iterator".to_owned());
    tracepoints.chain(iterator).chain(kernel_offsets(btf).err()).collect()
}

/// True if the kernel has `bpf_loop`, by which stacks are walked (≥ 5.17).
#[must_use]
pub fn can_walk(btf: &Btf) -> bool {
    btf.has_function("bpf_loop")
}

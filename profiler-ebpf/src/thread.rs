//! Task storage of followed threads: their waits, freed by the kernel with the thread.

use core::ptr;

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, BPF_LOCAL_STORAGE_GET_F_CREATE, bpf_map_type::BPF_MAP_TYPE_TASK_STORAGE},
    helpers::generated::{bpf_probe_read_kernel, bpf_task_storage_get},
    macros::{btf_map, map},
    maps::Array,
};
use profiler_common::wait::Waits;

use crate::{
    map_cell::{MapCell, field},
    task::Task,
};

/// A map of task storage, which aya-ebpf 0.2 has not: the shape that BTF maps have, patched when loaded.
#[repr(C)]
pub struct TaskStorage<T> {
    r#type: *const [i32; BPF_MAP_TYPE_TASK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; BPF_F_NO_PREALLOC as usize],
}

// SAFETY: nothing is ever read through its pointers.
unsafe impl<T> Sync for TaskStorage<T> {}

/// Thread → its waits. `enlist` creates; the switches write; the snapshot reads.
#[btf_map]
static THREADS: TaskStorage<Waits> = TaskStorage {
    r#type: ptr::null(),
    key: ptr::null(),
    value: ptr::null(),
    max_entries: ptr::null(),
    map_flags: ptr::null(),
};

/// How many processes `FOLLOWED` tells apart, by the low bits of their tgids.
const APART: usize = 1 << 16;

/// Low bits of a tgid → 1 if such a process is or was followed, so that most switches need no helper call. Bytes, since two
/// CPUs that set two bits of a word at once may lose one, and this target has no atomic operations.
#[map]
static FOLLOWED: Array<[u8; APART]> = Array::with_max_entries(1, 0);

/// False for a process that is surely not followed.
#[inline(always)]
pub fn may_be_followed(tgid: u32) -> bool {
    // SAFETY: the mask keeps it inside.
    FOLLOWED
        .get_ptr(0)
        .is_some_and(|bytes| unsafe { *bytes.cast::<u8>().add(tgid as usize & (APART - 1)) } != 0)
}

/// The waits of a followed thread.
#[inline(always)]
pub fn waits(task: Task) -> Option<&'static MapCell<Waits>> {
    get(task, 0)
}

/// Follows a thread from now on, as one of a fleet's master or of a worker.
#[inline(always)]
pub fn enlist(task: Task, fleet: u32, is_master: u32) -> Option<&'static MapCell<Waits>> {
    if let Some(bytes) = FOLLOWED.get_ptr_mut(0) {
        // SAFETY: the mask keeps it inside.
        unsafe { *bytes.cast::<u8>().add(task.tgid() as usize & (APART - 1)) = 1 };
    }
    let waits = get(task, u64::from(BPF_LOCAL_STORAGE_GET_F_CREATE))?;
    field!(waits.fleet).set(fleet);
    field!(waits.is_master).set(is_master);
    field!(waits.tid).set(task.tid());
    field!(waits.birth).set(task.start_time());
    Some(waits)
}

/// Copies a thread's waits by one call; zeros without any.
#[inline(always)]
pub fn copy(from: Option<&MapCell<Waits>>, to: &mut Waits) {
    let from = from.map_or(ptr::null_mut(), MapCell::as_ptr);
    // SAFETY: as many bytes as there are; from nowhere the helper copies nothing and fills with zeros.
    unsafe { bpf_probe_read_kernel(ptr::from_mut(to).cast(), size_of::<Waits>() as u32, from.cast()) };
}

#[inline(always)]
fn get(task: Task, flags: u64) -> Option<&'static MapCell<Waits>> {
    let map = (&raw const THREADS).cast_mut().cast();
    // SAFETY: the verifier knows the task.
    let waits = unsafe { bpf_task_storage_get(map, task.as_ptr().cast(), ptr::null_mut(), flags) };
    // SAFETY: a value of the map.
    (!waits.is_null()).then(|| unsafe { MapCell::new(waits.cast()) })
}

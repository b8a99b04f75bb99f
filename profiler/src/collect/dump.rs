//! One stack of each thread, now: of a blocked thread the stack on which it left the CPU, of a running one its last sample.

use std::collections::HashMap;

use profiler_common::{
    config::{ON_CPU, StackKey},
    event::ThreadRecord,
};

use crate::{
    bpf::Counts,
    collect::{
        build_profile::{self, BuiltProfile},
        event_handler::EventHandler,
        stacks::Stacks,
        stat::{ThreadKey, comm},
        thread_times,
    },
    fleet::Fleet,
    model::{
        dump::{FleetDump, FrameDump, RunState, TaskDump, ThreadDump, WorkerDump},
        tables::FrameKind,
    },
    python::tasks::{self, Await},
    sys::memory::Memory,
};

/// Makes the dump of some fleets from their threads as they were read, and the stacks that were seen until then; and why
/// names are missing that should be there.
#[must_use]
pub fn dump(
    fleets: &[Fleet],
    threads: &[ThreadRecord],
    clock_offset_ns: u64,
    handler: &EventHandler,
    counts: &Counts,
) -> (Vec<FleetDump>, Vec<String>) {
    let stacks = &handler.stacks;
    let named = build_profile::resolve_names(stacks, 0);
    let sampled = sampled(counts);
    let mut by_tgid: HashMap<u32, Vec<ThreadDump>> = HashMap::new();
    for living in threads {
        let activity = activity_of(living, clock_offset_ns, &sampled);
        let frames = activity.key.map(|key| frames(&named, stacks, &key)).unwrap_or_default();
        by_tgid.entry(living.task.tgid).or_default().push(ThreadDump {
            tid: living.task.tid,
            name: name_of(handler, living),
            state: activity.state,
            reason: activity.key.and_then(|key| stacks.reason(&key)),
            for_ns: activity.for_ns,
            frames,
            tasks: tasks_of(handler, living),
        });
    }
    let dumps = fleets.iter().map(|fleet| FleetDump {
        name: fleet.name.clone(),
        server: fleet.server.clone(),
        workers: fleet
            .members
            .iter()
            .filter_map(|member| {
                let mut threads = by_tgid.remove(&member.tgid)?;
                threads.sort_by_key(|thread| thread.tid);
                Some(WorkerDump {
                    role: member.role,
                    worker_class: member.worker_class.clone(),
                    tgid: member.tgid,
                    python: member.python.clone(),
                    threads,
                })
            })
            .collect(),
    });
    (dumps.collect(), named.unnamed)
}

fn name_of(handler: &EventHandler, thread: &ThreadRecord) -> String {
    let is_first = thread.task.tid == thread.task.tgid;
    let name = handler.name(&ThreadKey::of(thread)).filter(|_| !is_first);
    name.map_or_else(|| comm(&thread.task.comm), str::to_owned)
}

/// What is seen of one thread.
struct ThreadActivity {
    state: RunState,
    for_ns: Option<u64>,
    key: Option<StackKey>,
}

fn activity_of(
    living: &ThreadRecord,
    clock_offset_ns: u64,
    sampled: &HashMap<(u32, u32), StackKey>,
) -> ThreadActivity {
    let ThreadRecord { task, waits } = living;
    let (tgid, tid) = (task.tgid, task.tid);
    let now = task.read_ns.wrapping_sub(clock_offset_ns);
    if let Some(wait) = thread_times::open_wait(living, clock_offset_ns).filter(|wait| !wait.is_over) {
        let key = StackKey::of_wait(tgid, tid, &waits.open);
        return ThreadActivity { state: RunState::Blocked, for_ns: Some(wait.ns), key: Some(key) };
    }
    let key = sampled.get(&(tgid, tid)).copied();
    if task.on_cpu != 0 {
        return ThreadActivity { state: RunState::Running, for_ns: None, key };
    }
    let for_ns = (task.last_queued != 0).then(|| now.saturating_sub(task.last_queued));
    ThreadActivity { state: RunState::Runnable, for_ns, key }
}

/// asyncio's tasks of a thread that wait, as they are now.
fn tasks_of(handler: &EventHandler, ThreadRecord { task, .. }: &ThreadRecord) -> Vec<TaskDump> {
    let Some(interpreter) = handler.interpreter(task.tgid) else { return Vec::new() };
    let memory = Memory::of(task.tgid);
    let Some(tstate) = interpreter.thread_state(memory, task.thread_pointer) else { return Vec::new() };
    let frame =
        |Await { name, file, line }| FrameDump { kind: FrameKind::Python, name, file: Some(file), line };
    tasks::of_thread(memory, interpreter, tstate)
        .into_iter()
        .map(|task| TaskDump {
            name: task.name,
            is_begun: task.is_begun,
            frames: task.awaits.into_iter().map(frame).collect(),
            awaited_by: task.awaited_by,
        })
        .collect()
}

/// The stack on which each thread was sampled most.
fn sampled(counts: &Counts) -> HashMap<(u32, u32), StackKey> {
    let mut most: HashMap<(u32, u32), (u64, StackKey)> = HashMap::new();
    for (key, count) in counts.iter().filter(|(key, _)| key.reason == ON_CPU) {
        let best = most.entry((key.tgid, key.tid)).or_insert((0, *key));
        if (count.count, key.hash) > (best.0, best.1.hash) {
            *best = (count.count, *key);
        }
    }
    most.into_iter().map(|(thread, (_, key))| (thread, key)).collect()
}

/// A stack's frames, leaf first.
fn frames(named: &BuiltProfile, stacks: &Stacks, key: &StackKey) -> Vec<FrameDump> {
    let profile = &named.profile;
    let mut frames = profile.frames_of(named.stack_of(stacks, key));
    frames.reverse();
    let frame = |frame: &crate::model::tables::Frame| FrameDump {
        kind: frame.kind,
        name: profile.string(frame.name).to_owned(),
        file: frame.file.map(|file| profile.string(file).to_owned()),
        line: frame.line,
    };
    frames.into_iter().map(frame).collect()
}

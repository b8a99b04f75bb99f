//! One stack of each thread, now: of one that is blocked the stack on which it left the CPU, of one that runs what a tick
//! found a moment before.

use std::collections::HashMap;

use profiler_common::{
    config::{ON_CPU, StackKey},
    event::Living,
};

use crate::{
    bpf::Counts,
    collect::{
        books,
        intake::Intake,
        naming::{self, Named},
        stacks::Stacks,
        stat::{ThreadKey, comm},
    },
    fleet::Fleet,
    model::{
        dump::{FleetDump, FrameDump, State, TaskDump, ThreadDump, WorkerDump},
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
    threads: &[Living],
    clock_offset_ns: u64,
    intake: &Intake,
    counts: &Counts,
) -> (Vec<FleetDump>, Vec<String>) {
    let stacks = &intake.stacks;
    let named = naming::name(stacks, 0);
    let sampled = sampled(counts);
    let mut by_tgid: HashMap<u32, Vec<ThreadDump>> = HashMap::new();
    for living in threads {
        let seen = look(living, clock_offset_ns, &sampled);
        let frames = seen.key.map(|key| frames(&named, stacks, &key)).unwrap_or_default();
        by_tgid.entry(living.words.tgid).or_default().push(ThreadDump {
            tid: living.words.tid,
            name: name_of(intake, living),
            state: seen.state,
            reason: seen.key.and_then(|key| stacks.reason(&key)).map(profiler_common::wait::Reason::name),
            for_ns: seen.for_ns,
            frames,
            tasks: tasks_of(intake, living),
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

fn name_of(intake: &Intake, thread: &Living) -> String {
    let is_first = thread.words.tid == thread.words.tgid;
    let name = intake.name(&ThreadKey::of(thread)).filter(|_| !is_first);
    name.map_or_else(|| comm(&thread.words.comm), str::to_owned)
}

/// What is seen of one thread.
struct Seen {
    state: State,
    for_ns: Option<u64>,
    key: Option<StackKey>,
}

fn look(living: &Living, clock_offset_ns: u64, sampled: &HashMap<(u32, u32), StackKey>) -> Seen {
    let Living { words, waits } = living;
    let (tgid, tid) = (words.tgid, words.tid);
    let now = words.read_ns.wrapping_sub(clock_offset_ns);
    if let Some(wait) = books::open_wait(living, clock_offset_ns).filter(|wait| !wait.is_over) {
        let key = StackKey::of_wait(tgid, tid, &waits.open);
        return Seen { state: State::Blocked, for_ns: Some(wait.ns), key: Some(key) };
    }
    let key = sampled.get(&(tgid, tid)).copied();
    if words.on_cpu != 0 {
        return Seen { state: State::Running, for_ns: None, key };
    }
    let for_ns = (words.last_queued != 0).then(|| now.saturating_sub(words.last_queued));
    Seen { state: State::Runnable, for_ns, key }
}

/// asyncio's tasks of a thread that wait, as they are now.
fn tasks_of(intake: &Intake, Living { words, .. }: &Living) -> Vec<TaskDump> {
    let Some(interpreter) = intake.interpreter(words.tgid) else { return Vec::new() };
    let memory = Memory::of(words.tgid);
    let Some(tstate) = interpreter.thread_state(memory, words.thread_pointer) else { return Vec::new() };
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
fn frames(named: &Named, stacks: &Stacks, key: &StackKey) -> Vec<FrameDump> {
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

//! The promises of a recording that its types do not make. Whoever renders one relies on them.

use crate::model::{
    profile::Profile,
    recording::Recording,
    tables::{Frame, Stack, Table},
    window::WorkerWindow,
};

/// The deepest stack: Python's, native and kernel frames at the collector's limits, several times over.
const MAX_DEPTH: u32 = 8192;

/// Checks that every index is of its table, that callers come before their leaves and stacks are not endless,
/// and that no sum of the numbers overflows.
pub fn validate(recording: &Recording) -> Result<(), &'static str> {
    let Profile { strings, frames, stacks, samples, blocked, .. } = &recording.profile;
    let named = |frame: &Frame| has(strings, frame.name) && frame.file.is_none_or(|file| has(strings, file));
    if !frames.rows().iter().all(named) {
        return Err("a frame names a string that is not there");
    }
    if !stacks.rows().iter().all(|stack| has(frames, stack.frame)) {
        return Err("a stack names a frame that is not there");
    }
    check_depths(stacks)?;
    let mut shown =
        samples.iter().map(|sample| sample.stack).chain(blocked.iter().map(|sample| sample.stack));
    if !shown.all(|stack| stack.is_none_or(|stack| has(stacks, stack))) {
        return Err("a sample names a stack that is not there");
    }
    let mut counts = samples
        .iter()
        .map(|sample| sample.count)
        .chain(blocked.iter().flat_map(|sample| [sample.ns, sample.count]));
    if counts.try_fold(0_u64, u64::checked_add).is_none() {
        return Err("its samples are too many to count");
    }
    check_sums(recording)
}

fn has<T: Clone + Eq + std::hash::Hash>(table: &Table<T>, index: u32) -> bool {
    table.get(index).is_some()
}

fn check_depths(stacks: &Table<Stack>) -> Result<(), &'static str> {
    let mut depths: Vec<u32> = Vec::with_capacity(stacks.rows().len());
    for stack in stacks.rows() {
        let below = match stack.caller {
            None => 0,
            Some(caller) => *depths.get(caller as usize).ok_or("a stack comes before its caller")?,
        };
        if below == MAX_DEPTH {
            return Err("a stack is too deep");
        }
        depths.push(below + 1);
    }
    Ok(())
}

/// Renderers add up workers, and a worker's parts; so all numbers together must fit.
fn check_sums(recording: &Recording) -> Result<(), &'static str> {
    let workers = recording.stat.fleets.iter().flat_map(|fleet| &fleet.workers);
    let mut numbers = workers.flat_map(|worker| {
        let counters = worker.counters.numbers().into_iter();
        counters
            .chain(worker.waits.numbers())
            .chain(worker.throttled_ns)
            .chain(worker.boot_cpu_ns)
            .chain(worker.vain_wakeups)
    });
    let windows = &recording.windows;
    let mut in_windows = windows.iter().flat_map(|window| {
        let workers = window.workers.iter().flat_map(WorkerWindow::numbers);
        workers.chain([window.duration_ns]).chain(window.requests)
    });
    let fits = numbers.try_fold(0_u64, u64::checked_add).is_some()
        && in_windows.try_fold(0_u64, u64::checked_add).is_some();
    fits.then_some(()).ok_or("its numbers are too large to add up")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{fixture, profile::Sample, tables::FrameKind, window::Window};

    fn refusal(damage: impl FnOnce(&mut Recording)) -> &'static str {
        let mut recording = fixture::recording();
        assert_eq!(validate(&recording), Ok(()));
        damage(&mut recording);
        validate(&recording).unwrap_err()
    }

    #[test]
    fn indexes_stay_in_their_tables() {
        let strings = |recording: &mut Recording| recording.profile.strings.rows().len() as u32;
        let frame = |name, file| Frame { kind: FrameKind::Mark, name, file, line: 0 };
        let bad_name = refusal(|recording| {
            let name = strings(recording);
            recording.profile.frames.intern(frame(name, None));
        });
        let bad_file = refusal(|recording| {
            let file = Some(strings(recording));
            recording.profile.frames.intern(frame(0, file));
        });
        assert_eq!([bad_name, bad_file], ["a frame names a string that is not there"; 2]);
        let bad_frame = refusal(|recording| {
            recording.profile.stacks.intern(Stack { frame: 1000, caller: None });
        });
        assert_eq!(bad_frame, "a stack names a frame that is not there");
        let bad_stack = refusal(|recording| recording.profile.samples[0].stack = Some(1000));
        assert_eq!(bad_stack, "a sample names a stack that is not there");
    }

    #[test]
    fn stacks_end() {
        let circle = refusal(|recording| {
            let next = recording.profile.stacks.rows().len() as u32;
            recording.profile.stacks.intern(Stack { frame: 0, caller: Some(next) });
        });
        assert_eq!(circle, "a stack comes before its caller");
        let endless = refusal(|recording| {
            let mut caller = None;
            for _ in 0..=MAX_DEPTH {
                caller = Some(recording.profile.stacks.intern(Stack { frame: 0, caller }));
            }
        });
        assert_eq!(endless, "a stack is too deep");
    }

    #[test]
    fn sums_fit() {
        let many = Sample { tgid: 1, tid: 1, stack: None, count: u64::MAX, ..Sample::default() };
        assert_eq!(
            refusal(|recording| recording.profile.samples.push(many)),
            "its samples are too many to count"
        );
        let large = refusal(|recording| recording.stat.fleets[0].workers[0].counters.wall_ns = u64::MAX);
        let two = |recording: &mut Recording| {
            let half = Window { duration_ns: u64::MAX / 2 + 1, ..Window::default() };
            recording.windows = vec![half; 2];
        };
        assert_eq!([large, refusal(two)], ["its numbers are too large to add up"; 2]);
        let boots = refusal(|recording| recording.stat.fleets[0].workers[0].boot_cpu_ns = Some(u64::MAX));
        assert_eq!(boots, "its numbers are too large to add up");
        let requests = |recording: &mut Recording| {
            let workers = vec![WorkerWindow { tgid: 4_000_000_000, ..WorkerWindow::default() }];
            recording.windows = vec![Window { requests: Some(u64::MAX), workers, duration_ns: 0 }];
            assert_eq!(validate(recording), Ok(()), "any process, any one number");
            recording.windows[0].workers[0].waits.wakeups[0] = 1;
        };
        assert_eq!(refusal(requests), "its numbers are too large to add up");
    }
}

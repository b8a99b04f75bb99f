//! Checks what a recording's types do not guarantee. Renderers rely on it.

use crate::model::{
    profile::Profile,
    recording::Recording,
    shown::{Left, StackSizes},
    tables::{Frame, Id, InternTable, MappedBinary},
    waits::Waits,
    window::WorkerWindow,
};

/// Most windows: as many as the collector keeps.
const MAX_WINDOWS: usize = 600;

/// Most processes in all windows together.
const MAX_WINDOW_ROWS: usize = 1 << 18;

/// Checks that every index is of its table, that callers come before their leaves and stacks are not endless,
/// that what is to be shown can be, and that no sum of the numbers overflows.
pub fn validate(recording: &Recording) -> Result<(), &'static str> {
    let Profile { strings, binaries, mappings, frames, stacks, samples, blocked, preempted, .. } =
        &recording.profile;
    let named = |frame: &Frame| has(strings, frame.name) && frame.file.is_none_or(|file| has(strings, file));
    if !frames.rows().iter().all(named) {
        return Err("a frame names a string that is not there");
    }
    if !binaries.rows().iter().all(|binary| has(strings, binary.path)) {
        return Err("a file of code has a path that is not there");
    }
    if !frames.rows().iter().filter_map(|frame| frame.place).all(|place| has(binaries, place.binary)) {
        return Err("a frame is in a file of code that is not there");
    }
    let ends = |mapping: &MappedBinary| mapping.end.checked_sub(mapping.start)?.checked_add(mapping.offset);
    if !mappings.rows().iter().all(|mapping| has(binaries, mapping.binary) && ends(mapping).is_some()) {
        return Err("a mapping is of a part of a file that is not there");
    }
    if !stacks.rows().iter().all(|stack| has(frames, stack.frame)) {
        return Err("a stack names a frame that is not there");
    }
    let sizes = StackSizes::of(&recording.profile)?;
    let mut seen = samples
        .iter()
        .map(|sample| sample.stack)
        .chain(blocked.iter().map(|wait| wait.stack))
        .chain(preempted.iter().map(|wait| wait.stack));
    if !seen.clone().all(|stack| stack.is_none_or(|stack| has(stacks, stack))) {
        return Err("a sample names a stack that is not there");
    }
    let mut left = Left::default();
    if !seen.all(|stack| sizes.take(stack, &mut left)) {
        return Err("its stacks are too many, too deep or too long to be shown");
    }
    let waits = blocked.iter().map(|wait| wait.times).chain(preempted.iter().map(|wait| wait.times));
    let mut counts =
        samples.iter().map(|sample| sample.count).chain(waits.flat_map(|times| [times.ns, times.count]));
    if counts.try_fold(0_u64, u64::checked_add).is_none() {
        return Err("its samples are too many to count");
    }
    check_sums(recording)
}

fn has<T: Clone + Eq + std::hash::Hash>(table: &InternTable<T>, id: Id<T>) -> bool {
    table.get(id).is_some()
}

/// Renderers add up workers, and a worker's parts; so all numbers together must fit.
fn check_sums(recording: &Recording) -> Result<(), &'static str> {
    let workers = || recording.stat.processes();
    let mut numbers = workers().flat_map(|worker| {
        let counters = worker.counters.numbers().into_iter();
        counters
            .chain(worker.waits.numbers())
            .chain(worker.throttled_ns)
            .chain(worker.boot_cpu_ns)
            .chain(worker.empty_wakeups)
    });
    let windows = &recording.windows;
    let rows = windows.iter().map(|window| window.workers.len()).sum::<usize>();
    if windows.len() > MAX_WINDOWS || rows > MAX_WINDOW_ROWS {
        return Err("it has more windows than a recording can have");
    }
    let mut in_windows = windows.iter().flat_map(|window| {
        let workers = window.workers.iter().flat_map(WorkerWindow::numbers);
        workers.chain([window.duration_ns]).chain(window.requests)
    });
    let in_rows = windows.iter().flat_map(|window| &window.workers).map(|row| &row.waits);
    let mut lengths = workers().map(|worker| &worker.waits).chain(in_rows).flat_map(Waits::lengths);
    let fits = numbers.try_fold(0_u64, u64::checked_add).is_some()
        && in_windows.try_fold(0_u64, u64::checked_add).is_some()
        && lengths.try_fold(0_u64, u64::checked_add).is_some();
    fits.then_some(()).ok_or("its numbers are too large to add up")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        fixture,
        profile::Sample,
        shown::MAX_DEPTH,
        tables::{Binary, FrameKind, Place, Stack},
        window::Window,
    };

    fn refusal(damage: impl FnOnce(&mut Recording)) -> &'static str {
        let mut recording = fixture::recording();
        assert_eq!(validate(&recording), Ok(()));
        damage(&mut recording);
        validate(&recording).unwrap_err()
    }

    #[test]
    fn indexes_stay_in_their_tables() {
        let strings = |recording: &mut Recording| Id::new(recording.profile.strings.rows().len() as u32);
        let frame = |name, file| Frame { file, ..Frame::named(FrameKind::Mark, name) };
        let bad_name = refusal(|recording| {
            let name = strings(recording);
            recording.profile.frames.intern(frame(name, None));
        });
        let bad_file = refusal(|recording| {
            let file = Some(strings(recording));
            recording.profile.frames.intern(frame(Id::new(0), file));
        });
        assert_eq!([bad_name, bad_file], ["a frame names a string that is not there"; 2]);
        let bad_frame = refusal(|recording| {
            recording.profile.stacks.intern(Stack { frame: Id::new(1000), caller: None });
        });
        assert_eq!(bad_frame, "a stack names a frame that is not there");
        let bad_stack = refusal(|recording| recording.profile.samples[0].stack = Some(Id::new(1000)));
        assert_eq!(bad_stack, "a sample names a stack that is not there");
    }

    #[test]
    fn places_are_in_files_that_are_there() {
        let bad_path = refusal(|recording| {
            let path = Id::new(recording.profile.strings.rows().len() as u32);
            recording.profile.binaries.intern(Binary { path, build_id: None });
        });
        assert_eq!(bad_path, "a file of code has a path that is not there");
        let bad_place = refusal(|recording| {
            let binary = Id::new(recording.profile.binaries.rows().len() as u32);
            let place = Some(Place { binary, offset: 0 });
            let frame = Frame { place, ..Frame::named(FrameKind::Native, Id::new(0)) };
            recording.profile.frames.intern(frame);
        });
        assert_eq!(bad_place, "a frame is in a file of code that is not there");
        let mapped = |binary, start, end, offset| {
            let mapping = MappedBinary { tgid: 1234, binary, start, end, offset };
            refusal(|recording| _ = recording.profile.mappings.intern(mapping))
        };
        let of_nothing = mapped(Id::new(1000), 0x1000, 0x2000, 0);
        let backward = mapped(Id::new(0), 0x2000, 0x1000, 0);
        let endless = mapped(Id::new(0), 0, 1 << 63, 1 << 63);
        let refused = "a mapping is of a part of a file that is not there";
        assert_eq!([of_nothing, backward, endless], [refused; 3]);
    }

    #[test]
    fn stacks_end() {
        let circle = refusal(|recording| {
            let next = Id::new(recording.profile.stacks.rows().len() as u32);
            recording.profile.stacks.intern(Stack { frame: Id::new(0), caller: Some(next) });
        });
        assert_eq!(circle, "a stack comes before its caller");
        let endless = refusal(|recording| {
            let mut caller = None;
            for _ in 0..=MAX_DEPTH {
                caller = Some(recording.profile.stacks.intern(Stack { frame: Id::new(0), caller }));
            }
        });
        assert_eq!(endless, "a stack is too deep");
    }

    #[test]
    fn stacks_that_share_their_callers_are_counted_as_often_as_they_are_shown() {
        let many = |name: &str, depth: u32, leaves: u32| {
            let name = name.to_owned();
            move |recording: &mut Recording| {
                let profile = &mut recording.profile;
                let name = profile.strings.intern(name);
                let frame = profile.frames.intern(Frame::named(FrameKind::Python, name));
                let chain = |caller, _| Some(profile.stacks.intern(Stack { frame, caller }));
                let caller = (0..depth).fold(None, chain);
                for tid in 0..leaves {
                    let sample = Sample { tgid: 1, tid, stack: caller, count: 1, ..Sample::default() };
                    profile.samples.push(sample);
                }
            }
        };
        let mut recording = fixture::recording();
        many("f", 1000, 8000)(&mut recording);
        assert_eq!(validate(&recording), Ok(()));
        let refused = "its stacks are too many, too deep or too long to be shown";
        assert_eq!(refusal(many("f", 1000, 9000)), refused);
        assert_eq!(refusal(many(&"\u{202e}".repeat(500), 1000, 150)), refused);
    }

    #[test]
    fn windows_are_not_endless() {
        let refused = "it has more windows than a recording can have";
        let many = |recording: &mut Recording| recording.windows = vec![Window::default(); MAX_WINDOWS + 1];
        assert_eq!(refusal(many), refused);
        let wide = |recording: &mut Recording| {
            let workers = vec![WorkerWindow::default(); MAX_WINDOW_ROWS / MAX_WINDOWS + 1];
            recording.windows = vec![Window { workers, ..Window::default() }; MAX_WINDOWS];
        };
        assert_eq!(refusal(wide), refused);
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
        let lengths = refusal(|recording| {
            for worker in &mut recording.stat.fleets[0].workers[..2] {
                worker.waits.run_queue = serde_json::from_str("[18446744073709551615]").unwrap();
            }
        });
        assert_eq!(lengths, "its numbers are too large to add up");
        let requests = |recording: &mut Recording| {
            let workers = vec![WorkerWindow { tgid: 4_000_000_000, ..WorkerWindow::default() }];
            recording.windows = vec![Window { requests: Some(u64::MAX), workers, duration_ns: 0 }];
            assert_eq!(validate(recording), Ok(()), "any process, any one number");
            recording.windows[0].workers[0].waits.wakeups[0] = 1;
        };
        assert_eq!(refusal(requests), "its numbers are too large to add up");
    }
}

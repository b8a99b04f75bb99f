//! Functions whose time changed.
//!
//! A function is its name and the last two parts of its file's path, so that it is found again below another folder and
//! on another line. What it called that is not Python counts as its own; processes without any Python frame are told by
//! their native ones.

use std::collections::{HashMap, HashSet};

use crate::model::{
    diff::{FunctionDiff, MARGIN, Per},
    profile::Profile,
    recording::Recording,
    sample::Weights,
    tables::{Frame, FrameKind},
};

/// Ticks within which 95 % of a count of ticks lie, in roots of it.
const NORMAL_95: f64 = 1.96;
/// A change that is worth a name is at least so much of all on-CPU time.
const LEAST: f64 = 0.01;

#[derive(Clone, Debug, Default)]
struct FunctionTime {
    file: String,
    own: [f64; 2],
    total: [f64; 2],
    /// The variance of `own`, which is a count of ticks times what a tick stands for.
    variance: f64,
}

type FunctionKey = (String, String);

/// All functions, those first whose own time changed most; none if there is nothing to count them by.
pub fn changed(both: [&Recording; 2], per: Per) -> Vec<FunctionDiff> {
    let mut times: HashMap<FunctionKey, FunctionTime> = HashMap::new();
    for (side, recording) in both.into_iter().enumerate() {
        if let Some(units) = per.units_of(recording) {
            add(&mut times, side, recording, 1e-6 / units);
        }
    }
    // Of so many functions one in twenty strays by chance: a bound on the normal distribution's tail (Chernoff) for all.
    let far = (2.0 * (times.len() as f64 * 2.0 / 0.05).ln()).sqrt();
    let all = [0, 1].map(|side| times.values().map(|time| time.own[side]).sum::<f64>());
    let function = |((name, _), time): (FunctionKey, FunctionTime)| {
        let (change, error) = (time.own[1] - time.own[0], time.variance.sqrt());
        let reach = NORMAL_95 * error;
        let least = (MARGIN * time.own[0].max(time.own[1])).max(LEAST * all[0].max(all[1]));
        FunctionDiff {
            name,
            file: time.file,
            self_before_ms: time.own[0],
            self_after_ms: time.own[1],
            self_change_interval_ms: [change - reach, change + reach],
            is_real: change.abs() > (far * error).max(least),
            total_before_ms: time.total[0],
            total_after_ms: time.total[1],
        }
    };
    let mut functions: Vec<FunctionDiff> = times.into_iter().map(function).collect();
    let change = |function: &FunctionDiff| {
        let own = (function.self_after_ms - function.self_before_ms).abs();
        (own, (function.total_after_ms - function.total_before_ms).abs())
    };
    functions.sort_by(|one, other| {
        let ((own, total), (others, others_total)) = (change(one), change(other));
        let by_change = others.total_cmp(&own).then(others_total.total_cmp(&total));
        by_change.then_with(|| (&one.name, &one.file).cmp(&(&other.name, &other.file)))
    });
    functions
}

/// Adds a recording's time, `scale` being what one of its nanoseconds counts.
fn add(times: &mut HashMap<FunctionKey, FunctionTime>, side: usize, recording: &Recording, scale: f64) {
    let profile = &recording.profile;
    let weights = Weights::new(profile, &recording.stat);
    for (sample, ns) in profile.samples.iter().zip(weights.on_cpu_ns) {
        let shown = shown(profile.frames_of(sample.stack));
        let weight = ns as f64 * scale;
        let mut seen = HashSet::new();
        for frame in shown.iter().rev() {
            let (key, file) = named(profile, frame);
            let is_leaf = seen.is_empty();
            if !seen.insert(key.clone()) {
                continue;
            }
            let time = times.entry(key).or_default();
            time.file = file;
            time.total[side] += weight;
            if is_leaf {
                time.own[side] += weight;
                time.variance += weight * weight / sample.count.max(1) as f64;
            }
        }
    }
}

/// The Python frames of a stack; all but marks if there are none.
fn shown(frames: Vec<&Frame>) -> Vec<&Frame> {
    let has_python = frames.iter().any(|frame| frame.kind == FrameKind::Python);
    let is_shown = |frame: &&Frame| match frame.kind {
        FrameKind::Python => true,
        FrameKind::Native | FrameKind::Kernel => !has_python,
        FrameKind::Mark => false,
    };
    frames.into_iter().filter(is_shown).collect()
}

fn named(profile: &Profile, frame: &Frame) -> (FunctionKey, String) {
    let file = frame.file.map_or("", |file| profile.string(file));
    let end = file.rmatch_indices('/').nth(1).map_or(file, |(slash, _)| &file[slash + 1..]);
    ((profile.string(frame.name).to_owned(), end.to_owned()), file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{fixture, profile::Sample};

    /// Worker 1234 in these functions of these files for so many ticks, and in as much time as they are ms.
    fn recording(ticks: &[(&[(&str, &str)], u64)], requests: u64) -> Recording {
        let mut recording = fixture::recording();
        recording.requests = Some(requests);
        recording.profile.samples.clear();
        recording.stat.fleets[0].workers.retain(|worker| worker.tgid == 1234);
        recording.stat.fleets[0].workers[0].counters.on_cpu_ns =
            1_000_000 * ticks.iter().map(|(_, count)| count).sum::<u64>();
        for (line, (functions, count)) in (7..).zip(ticks) {
            let frames: Vec<_> =
                functions.iter().map(|(name, file)| (FrameKind::Python, *name, *file, line)).collect();
            let stack = fixture::stack(&mut recording.profile, &frames);
            recording.profile.samples.push(Sample {
                tgid: 1234,
                tid: 1234,
                stack,
                count: *count,
                ..Sample::default()
            });
        }
        recording
    }

    const MAIN: (&str, &str) = ("main", "/srv/v1/shop/app.py");
    const RENDER: (&str, &str) = ("render", "/srv/v1/shop/views.py");
    const QUERY: (&str, &str) = ("query", "/srv/v1/shop/db.py");

    #[test]
    fn the_one_that_changed_most_comes_first() {
        let before = recording(&[(&[MAIN, RENDER], 500), (&[MAIN, QUERY], 400), (&[MAIN], 100)], 100);
        // Twice the requests; `render` lies elsewhere now and costs more.
        let moved = ("render", "/srv/v2/shop/views.py");
        let after = recording(&[(&[MAIN], 200), (&[MAIN, moved], 1200), (&[MAIN, QUERY], 800)], 200);
        let functions = changed([&before, &after], Per::Request);
        let names: Vec<_> = functions.iter().map(|function| function.name.as_str()).collect();
        assert_eq!(names, ["render", "main", "query"]);
        let close = |one: f64, other: f64| (one - other).abs() < 1e-9;
        let [render, main, query] = &functions[..] else { panic!("three functions") };
        assert!(render.file.ends_with("v2/shop/views.py"));
        assert!(close(render.self_before_ms, 5.0) && close(render.self_after_ms, 6.0), "{render:?}");
        assert!(close(main.total_before_ms, 10.0) && close(main.total_after_ms, 11.0), "{main:?}");
        assert!(close(query.self_before_ms, query.self_after_ms), "{query:?}");
        // 500 and 1200 ticks stray by their roots: 0.22 and 0.17 ms per request.
        let [low, high] = render.self_change_interval_ms;
        assert!(
            close(high - low, 2.0 * 1.96 * (500.0_f64.sqrt() / 100.0).hypot(1200.0_f64.sqrt() / 200.0)),
            "{low} {high}"
        );
        // One more ms of `render` is 3.5 errors: far for one of three.
        assert_eq!([render, main, query].map(|function| function.is_real), [true, false, false]);
        // By time on a CPU nothing is more but parts of it.
        let by_cpu = changed([&before, &after], Per::Cpu);
        let sum: f64 = by_cpu.iter().map(|function| function.self_after_ms - function.self_before_ms).sum();
        assert!(close(sum, 0.0), "{sum}");
    }

    #[test]
    fn a_function_that_calls_itself_is_counted_once() {
        let before = recording(&[(&[MAIN, RENDER, RENDER], 100)], 100);
        let functions = changed([&before, &before], Per::Request);
        assert!((functions[0].total_before_ms - 1.0).abs() < 1e-9, "{functions:?}");
        assert!((functions[1].total_before_ms - 1.0).abs() < 1e-9, "{functions:?}");
    }

    #[test]
    fn without_units_there_is_nothing_to_tell() {
        let before = recording(&[(&[MAIN], 100)], 0);
        assert_eq!(changed([&before, &before], Per::Request), []);
    }
}

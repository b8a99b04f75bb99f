//! `punchclock compare`: what differs between recordings, and whether that is more than chance.

use std::{process::ExitCode, slice};

use anyhow::Result;

use crate::{
    cli::compare::{self, Compare},
    cmd::outputs::{self, print, say},
    failure::Failure,
    formats::{self, OfComparison, Outputs},
    model::{
        diff::{self, Diff, Per},
        recording::Recording,
    },
    recording,
    render::{
        compare::{self as text, PageOptions},
        graph::differential::ComparedRecordings,
        json,
    },
};

/// Characters of a line that is on no terminal.
const ELSEWHERE: usize = 100;

/// What the shell is told when a threshold is crossed.
const CROSSED: u8 = 10;

/// Runs the verb.
pub fn run(args: &Compare) -> Result<ExitCode> {
    let outputs = prepare(args)?;
    let recordings = read(args)?;
    let (first, others) = recordings.split_first().ok_or_else(|| usage("there is no recording"))?;
    let mut diffs = Vec::new();
    for other in others {
        if let Some(why) = diff::refusal(&first.1, &other.1) {
            return Err(usage(&format!("`{}` and `{}` cannot be compared: {why}", first.0, other.0)));
        }
        diffs.push(diff::diff((&first.0, &first.1), (&other.0, &other.1), args.per.map(Per::from)));
    }
    if let (Some(outputs), Some(other), Some(diff)) = (outputs, others.first(), diffs.first()) {
        let (before, after) = ((first.0.as_str(), &first.1), (other.0.as_str(), &other.1));
        let comparison = ComparedRecordings { before, after, per: diff.per, inverted: args.inverted };
        outputs.write(|write| write(comparison), say)?;
    }
    show(args, &diffs)?;
    judge(args, &diffs)
}

/// Reads the recordings, each with its name, and with its requests if they are given.
fn read(args: &Compare) -> Result<Vec<(String, Recording)>> {
    let given = &args.requests;
    if !given.is_empty() && given.len() != args.recordings.len() {
        return Err(usage("--requests needs a number for each recording"));
    }
    let mut recordings = Vec::new();
    for (place, path) in args.recordings.iter().enumerate() {
        let mut recording = recording::read(path)?;
        if let Some(requests) = given.get(place) {
            give(&mut recording, *requests);
        }
        recordings.push((path.display().to_string(), recording));
    }
    Ok(recordings)
}

/// Tells a recording its requests. What its windows counted is then of something else.
fn give(recording: &mut Recording, requests: u64) {
    if recording.requests != Some(requests) {
        recording.windows.iter_mut().for_each(|window| window.requests = None);
        recording.requests = Some(requests);
    }
}

fn show(args: &Compare, diffs: &[Diff]) -> Result<()> {
    if args.json {
        return print(&json::document(&diffs)?);
    }
    let width = outputs::width().unwrap_or(ELSEWHERE);
    let options = PageOptions { verbose: args.verbose, width, colour: outputs::colour() };
    let shown = diffs.iter().map(|diff| {
        if args.markdown { text::markdown(diff, args.verbose) } else { text::text(diff, options) }
    });
    print(&shown.collect::<Vec<_>>().join("\n"))
}

/// Says which thresholds are crossed.
fn judge(args: &Compare, diffs: &[Diff]) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for threshold in &args.fail_if {
        for diff in diffs {
            let crossed = threshold.crossed(diff).ok_or_else(|| {
                usage(&format!("`{}`: the recordings do not tell this number", threshold.text))
            })?;
            for (group, number) in crossed {
                code = ExitCode::from(CROSSED);
                let (fleet, role) = (&group.fleet, group.role.name());
                let (before, after) = (number.before, number.after);
                say(&format!("crossed: {} in {fleet}, {role}: {before:.4} → {after:.4}", threshold.text));
            }
        }
    }
    Ok(code)
}

fn prepare(args: &Compare) -> Result<Option<Outputs<OfComparison>>> {
    let Some(path) = &args.output else { return Ok(None) };
    if args.recordings.len() != 2 {
        return Err(usage("a differential flame graph is of two recordings"));
    }
    Ok(Some(Outputs::prepare(formats::COMPARISON, slice::from_ref(path))?))
}

fn usage(what: &str) -> anyhow::Error {
    Failure::Usage(what.to_owned()).into()
}

impl From<compare::Per> for Per {
    fn from(per: compare::Per) -> Self {
        match per {
            compare::Per::Cpu => Self::Cpu,
            compare::Per::Wall => Self::Wall,
            compare::Per::Request => Self::Request,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{fixture, window::Window};

    #[test]
    fn given_requests_are_not_mixed_with_counted_ones() {
        let window = Window { requests: Some(9), ..Window::default() };
        let mut recording = Recording { requests: Some(9), windows: vec![window], ..fixture::recording() };
        let known = |recording: &Recording| (recording.requests, recording.windows[0].requests);
        give(&mut recording, 9);
        assert_eq!(known(&recording), (Some(9), Some(9)));
        give(&mut recording, 5);
        assert_eq!(known(&recording), (Some(5), None));
    }
}

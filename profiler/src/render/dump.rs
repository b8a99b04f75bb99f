//! A dump as text: a block a thread, its stack below it, the leaf first.

use std::fmt::Write;

use profiler_common::wait::Reason;

use crate::{
    model::{
        dump::{Dump, FleetDump, FrameDump, RunState, TaskDump, ThreadDump, WorkerDump},
        tables::FrameKind,
    },
    render::{
        json,
        location::{self, ShortPaths},
        reason,
        term::{self, escape},
    },
    units,
};

/// What of a dump is shown, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct DumpOptions {
    /// Native frames too.
    pub native: bool,
    /// Kernel frames too.
    pub kernel: bool,
    /// Bold headlines.
    pub colour: bool,
}

/// The dump as text.
#[must_use]
pub fn text(dump: &Dump, options: DumpOptions) -> String {
    let mut text = String::new();
    let threads = dump.fleets.iter().flat_map(|fleet| &fleet.workers).flat_map(|worker| &worker.threads);
    let frames = threads
        .flat_map(|thread| thread.frames.iter().chain(thread.tasks.iter().flat_map(|task| &task.frames)));
    let paths = ShortPaths::new(frames.filter_map(|frame| frame.file.as_deref()));
    for fleet in &dump.fleets {
        for worker in &fleet.workers {
            block(&mut text, fleet, worker, &paths, options);
        }
    }
    for note in &dump.quality.notes {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", escape::visible(note));
    }
    text
}

/// The dump as one JSON document, with a line break at its end.
pub fn json(dump: &Dump) -> anyhow::Result<String> {
    json::document(dump)
}

fn block(
    text: &mut String,
    fleet: &FleetDump,
    worker: &WorkerDump,
    paths: &ShortPaths<'_>,
    options: DumpOptions,
) {
    let is_shown = |frame: &&FrameDump| match frame.kind {
        FrameKind::Python | FrameKind::Mark => true,
        FrameKind::Native => options.native,
        FrameKind::Kernel => options.kernel,
    };
    let class = worker.worker_class.as_ref().map(|class| format!(" ({class})")).unwrap_or_default();
    let python =
        worker.python.as_ref().map_or("not Python".to_owned(), |version| format!("Python {version}"));
    let headline =
        format!("{} {} · {} {}{class} · {python}", fleet.server, fleet.name, worker.role.name(), worker.tgid);
    let headline = term::bold(&escape::visible(&headline), options.colour);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{headline}");
    for thread in &worker.threads {
        let _ = writeln!(text, "  {}", escape::visible(&doing(thread)));
        for frame in thread.frames.iter().filter(is_shown) {
            let _ = writeln!(text, "    {}", escape::visible(&line(frame, paths)));
        }
        for task in &thread.tasks {
            let _ = writeln!(text, "    {}", escape::visible(&awaits(task)));
            for frame in &task.frames {
                let _ = writeln!(text, "      {}", escape::visible(&line(frame, paths)));
            }
        }
    }
    text.push('\n');
}

/// `23455 gunicorn: blocked for 1.204 s, waiting for work`.
fn doing(thread: &ThreadDump) -> String {
    let state = match thread.state {
        RunState::Running => "running",
        RunState::Runnable => "waiting for a CPU",
        RunState::Blocked => "blocked",
    };
    let time = thread.for_ns.map(|ns| format!(" for {}", units::span(ns))).unwrap_or_default();
    let reason = match thread.reason {
        Some(Reason::Idle) => format!(", waiting for {}", reason::object(Reason::Idle)),
        Some(reason) => format!(", {}", reason::label(reason)),
        None => String::new(),
    };
    format!("{} {}: {state}{time}{reason}", thread.tid, thread.name)
}

/// `task fetch: waiting, awaited by main`.
fn awaits(task: &TaskDump) -> String {
    let name = task.name.as_deref().unwrap_or("[no name]");
    let state = if task.is_begun { "waiting" } else { "not begun" };
    let awaited_by = match task.awaited_by.as_slice() {
        [] => String::new(),
        names => format!(", awaited by {}", names.join(", ")),
    };
    format!("task {name}: {state}{awaited_by}")
}

fn line(frame: &FrameDump, paths: &ShortPaths<'_>) -> String {
    let name =
        if frame.kind == FrameKind::Kernel { format!("{}_[k]", frame.name) } else { frame.name.clone() };
    location::text(&name, paths.of(frame.file.as_deref().unwrap_or_default()), frame.line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SCHEMA_VERSION, quality::Quality, worker::Role};

    fn dump() -> Dump {
        let frame = |kind, name: &str, file: Option<&str>, line| FrameDump {
            kind,
            name: name.to_owned(),
            file: file.map(str::to_owned),
            line,
        };
        let thread = ThreadDump {
            tid: 8,
            name: "pool\x1b[2J".to_owned(),
            state: RunState::Blocked,
            reason: Some(Reason::PageFault),
            for_ns: Some(1_204_500_000),
            frames: vec![
                frame(FrameKind::Kernel, "schedule", None, 0),
                frame(FrameKind::Native, "memcpy", Some("/lib/libc.so.6"), 0),
                frame(FrameKind::Python, "view", Some("/srv/app.py"), 12),
            ],
            tasks: vec![TaskDump {
                name: Some("fetch\x1b[2J".to_owned()),
                is_begun: true,
                frames: vec![frame(FrameKind::Python, "read", Some("/srv/net.py"), 7)],
                awaited_by: vec!["all".to_owned(), "one".to_owned()],
            }],
        };
        let running = ThreadDump {
            tid: 9,
            state: RunState::Running,
            reason: None,
            for_ns: None,
            frames: vec![],
            tasks: vec![],
            ..thread.clone()
        };
        let worker = WorkerDump {
            role: Role::Worker,
            worker_class: Some("gthread".to_owned()),
            tgid: 8,
            python: Some("3.11.7".to_owned()),
            threads: vec![thread, running],
        };
        let fleet =
            FleetDump { name: "shop".to_owned(), server: "gunicorn".to_owned(), workers: vec![worker] };
        let quality = Quality { notes: vec!["a note".to_owned()], ..Quality::default() };
        Dump { schema_version: SCHEMA_VERSION, at_unix_ns: 1, fleets: vec![fleet], quality }
    }

    #[test]
    fn a_thread_says_what_it_does_and_where() {
        let expected = [
            "gunicorn shop · worker 8 (gthread) · Python 3.11.7",
            r"  8 pool\x1b[2J: blocked for 1.20 s, page fault",
            "    view (srv/app.py:12)",
            r"    task fetch\x1b[2J: waiting, awaited by all, one",
            "      read (srv/net.py:7)",
            r"  9 pool\x1b[2J: running",
            "",
            "a note",
        ];
        assert_eq!(text(&dump(), DumpOptions::default()).lines().collect::<Vec<_>>(), expected);
        let all = text(&dump(), DumpOptions { native: true, kernel: true, colour: false });
        assert!(all.contains("    schedule_[k]\n    memcpy (libc.so.6)\n"), "{all}");
    }

    #[test]
    fn json_has_it_too() {
        let json: serde_json::Value = serde_json::from_str(&json(&dump()).unwrap()).unwrap();
        let thread = &json["fleets"][0]["workers"][0]["threads"][0];
        assert_eq!((&thread["state"], &thread["reason"]), (&"blocked".into(), &"page_fault".into()));
        assert_eq!(thread["frames"][2]["line"], 12);
    }
}

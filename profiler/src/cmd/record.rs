//! `punchclock record`: exact numbers and sampled stacks of a window.

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::Path,
    process::{Child, Command, ExitCode},
    time::Duration,
};

use anyhow::{Context, Error, Result};
use tokio::time::Instant;

use crate::{
    cli::Record,
    cmd::{
        outputs::{self, default_paths, print, say},
        progress::Progress,
        runtime::block_on,
        snapshots::Snapshots,
        target,
    },
    collect::{
        plans::{self, Extent},
        recorder::{Recorded, Recorder},
        session::Session,
    },
    failure::Failure,
    findings,
    fleet::{self, Fleet, Newcomers},
    formats::{self, OfRecording, Outputs},
    model::recording::{About, Recording},
    render::stat::{json, text},
    sys::{caller, clock, heap, limits, lines::LineCounter, privileges},
};

/// How long the windows of a recording are.
const WINDOW: Duration = Duration::from_secs(1);
/// Seconds to record what runs already, if nobody says.
const DURATION: f64 = 30.0;

/// Runs the verb.
pub fn run(args: &Record) -> Result<ExitCode> {
    heap::bound(args.bounds.max_memory);
    let asked = Instant::now();
    // An access log is that of the fleet that runs now.
    let is_open = args.command.is_empty() && args.access_log.is_none();
    let newcomers = target::newcomers(&args.target).filter(|_| is_open);
    let fleets = if args.command.is_empty() { target::select(&args.target)? } else { Vec::new() };
    if args.access_log.is_some() && fleets.len() != 1 {
        let fleets: Vec<_> = fleets.iter().map(|fleet| format!("{} {}", fleet.server, fleet.name)).collect();
        let why =
            format!("an access log is one fleet's, and these are to be recorded: {}", fleets.join(", "));
        return Err(Failure::Usage(why).into());
    }
    let mut outputs =
        Some(Outputs::prepare(formats::RECORDING, &args.output)?).filter(|_| !args.output.is_empty());
    if let (None, Some(fleet)) = (&outputs, fleets.first()) {
        outputs = Some(open_default(&fleet.name)?);
    } else if let (None, Some(command)) = (&outputs, args.command.first()) {
        let name = Path::new(command).file_name().unwrap_or(command);
        outputs = Some(open_default(&name.to_string_lossy())?);
    }
    let (recording, failure) = block_on(record(args, fleets, newcomers, asked, outputs.as_ref()))?;
    write(outputs.as_ref(), &recording, args)?;
    let findings = findings::of(&recording.stat, &recording.profile);
    print(&if args.json {
        json(&recording.stat, &findings)?
    } else {
        text(&recording.stat, &recording.profile, &findings, outputs::table())
    })?;
    failure.map_or(Ok(ExitCode::SUCCESS), Err)
}

fn write(outputs: Option<&Outputs<OfRecording>>, recording: &Recording, args: &Record) -> Result<()> {
    let Some(outputs) = outputs else { return Ok(()) };
    outputs.write(|write| write(recording, args.graph.into()), say)
}

fn open_default(name: &str) -> Result<Outputs<OfRecording>, Failure> {
    Outputs::prepare(formats::RECORDING, &default_paths(name, Duration::from_nanos(clock::unix_ns())))
}

/// What was recorded, and what ended it before its time.
async fn record(
    args: &Record,
    fleets: Vec<Fleet>,
    newcomers: Option<Newcomers>,
    asked: Instant,
    outputs: Option<&Outputs<OfRecording>>,
) -> Result<(Recording, Option<Error>)> {
    let about = about();
    let mut snapshots = Snapshots::listen()?;
    let mut plan = plans::for_record(args.rate, Extent::of(&fleets), args.min_block, args.max_stacks);
    plan.native = args.graph.native;
    let session = Session::open(fleets, plan)?;
    let mut child = None;
    let mut recorder = Recorder::start(session, Some(args.rate), |session| {
        child = start_command(session, args)?;
        Ok(())
    })?;
    privileges::keep_to_read(outputs.is_some_and(Outputs::are_overriding))
        .context("failed to give up privileges")?;
    recorder.note_delay(asked);
    if let Some(newcomers) = newcomers {
        recorder.welcome(newcomers);
    }
    recorder.keep_windows(WINDOW);
    if args.memory {
        recorder.watch_memory();
    }
    if let Some(path) = &args.access_log {
        let mut lines =
            LineCounter::watch(path).with_context(|| format!("failed to read `{}`", path.display()))?;
        recorder.count_requests_with(Box::new(move || lines.count()))?;
    }
    let seconds = args.duration.or_else(|| args.command.is_empty().then_some(DURATION));
    let duration = seconds.map(Duration::from_secs_f64);
    let mut progress = Progress::start("recording", duration);
    let ended =
        |child: &mut Option<Child>| child.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None)));
    let deadline = duration.map(|duration| recorder.began() + duration);
    let mut failure = loop {
        let mut is_snapshot = false;
        let ran = recorder.run(deadline, || {
            progress.tick();
            is_snapshot = snapshots.are_asked();
            !is_snapshot && !ended(&mut child)
        });
        let ran = ran.await;
        if !is_snapshot || ran.is_err() {
            break ran.err();
        }
        progress.pause(|| {
            let so_far = recorder.so_far().map(|so_far| recording(&about, so_far));
            let written = so_far.and_then(|so_far| write(outputs, &so_far, args));
            written.unwrap_or_else(|error| say(&format!("{error:#}; the recording goes on")));
        });
    };
    let recorded = recorder.finish().map_err(|error| failure.take().unwrap_or(error))?;
    progress.finish();

    if let Some(child) = &mut child
        && matches!(child.try_wait(), Ok(None))
    {
        say(&format!("{} still runs, as process {}", shown(&args.command), child.id()));
    }
    if recorded.stat.processes().next().is_none() {
        return Err(Failure::all_ended().into());
    }
    Ok((recording(&about, recorded), failure))
}

fn recording(about: &About, recorded: Recorded) -> Recording {
    let Recorded { profile, stat, windows, requests } = recorded;
    Recording { about: about.clone(), profile, stat, windows, requests }
}

/// Starts the command, if there is one. This process is followed while it does: so the child is from before its
/// first instruction.
fn start_command(session: &mut Session, args: &Record) -> Result<Option<Child>> {
    let Some((program, arguments)) = args.command.split_first() else { return Ok(None) };
    let mut command = Command::new(program);
    command.args(arguments);
    limits::give_files(&mut command);
    if !args.as_root {
        caller::start_as_him(&mut command);
    }
    let own = std::process::id();
    session.kernel.follow(own, &bytemuck::Zeroable::zeroed())?;
    let child = command.spawn();
    session.kernel.forget(own)?;
    let child = child.with_context(|| format!("failed to start `{}`", program.display()))?;
    session.fleets = vec![fleet::started(child.id(), &program.to_string_lossy())];
    Ok(Some(child))
}

/// A command line's words, which need not be UTF-8.
fn shown(words: &[OsString]) -> String {
    words.join(OsStr::new(" ")).to_string_lossy().into_owned()
}

/// What is known of the host and the command.
#[must_use]
pub fn about() -> About {
    let kernel_word = |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
    About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command: shown(&std::env::args_os().collect::<Vec<_>>()),
        host: kernel_word("hostname").trim().to_owned(),
        kernel: kernel_word("osrelease").trim().to_owned(),
        cpus: clock::cpus(),
    }
}

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
        recording_files::RecordingFiles,
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
    let mut files = files(args, &fleets)?;
    let (recording, failure) = block_on(record(args, fleets, newcomers, asked, files.as_mut()))?;
    if let Some(files) = files {
        files.finish(&recording)?;
    }
    let findings = findings::of(&recording.stat, &recording.profile);
    print(&if args.json {
        json(&recording.stat, &findings)?
    } else {
        text(&recording.stat, &recording.profile, &findings, outputs::table())
    })?;
    failure.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// What is written: a file of each kind that was named, or the usual ones.
fn files(args: &Record, fleets: &[Fleet]) -> Result<Option<RecordingFiles>> {
    let usual = |name: &str| default_paths(name, Duration::from_nanos(clock::unix_ns()));
    let paths = match (&args.output[..], fleets.first(), args.command.first()) {
        ([], Some(fleet), _) => usual(&fleet.name).to_vec(),
        ([], None, Some(command)) => {
            usual(&Path::new(command).file_name().unwrap_or(command).to_string_lossy()).to_vec()
        }
        ([], None, None) => return Ok(None),
        (named, ..) => named.to_vec(),
    };
    RecordingFiles::prepare(&paths, args.graph.into()).map(Some)
}

/// What was recorded, and what ended it before its time.
async fn record(
    args: &Record,
    fleets: Vec<Fleet>,
    newcomers: Option<Newcomers>,
    asked: Instant,
    mut files: Option<&mut RecordingFiles>,
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
    privileges::keep_to_read(files.as_ref().is_some_and(|files| files.are_overriding()))
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
        let (mut is_asked, mut is_due) = (false, false);
        let ran = recorder.run(deadline, || {
            progress.tick();
            is_asked = snapshots.are_asked();
            is_due = files.as_ref().is_some_and(|files| files.is_checkpoint_due());
            !is_asked && !is_due && !ended(&mut child)
        });
        let ran = ran.await;
        if !(is_asked || is_due) || ran.is_err() {
            break ran.err();
        }
        let Some(files) = &mut files else { continue };
        let mut so_far = || recorder.so_far().map(|so_far| recording(&about, so_far));
        progress.pause(|| {
            let asked = if is_asked { so_far().and_then(|so_far| files.write(&so_far)) } else { Ok(()) };
            let due = if is_due { files.checkpoint(so_far) } else { Ok(()) };
            for error in [asked, due].into_iter().filter_map(Result::err) {
                say(&format!("{error:#}; the recording goes on"));
            }
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

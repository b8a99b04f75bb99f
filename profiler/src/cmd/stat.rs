//! `punchclock stat`: exact numbers of a window, and of its intervals.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};
use tokio::time::Instant;

use crate::{
    cli::Stat,
    cmd::{
        outputs::{self, print},
        runtime::block_on,
        target,
    },
    collect::{
        plans::{self, Extent},
        recorder::{Recorded, Recorder},
        session::Session,
    },
    failure::Failure,
    findings,
    fleet::servers,
    model::{accounting::StatDelta, profile::Profile, report::Finding},
    render::{
        stat::{idle::IdleReport, json, json_line, text},
        term::grid::TableOptions,
    },
    sys::{heap, privileges},
};

/// Runs the verb.
pub fn run(args: &Stat) -> Result<ExitCode> {
    heap::bound(args.bounds.max_memory);
    let asked = Instant::now();
    let newcomers = target::newcomers(&args.target);
    let fleets = target::select(&args.target)?;
    block_on(async {
        let plan = plans::for_stat(Extent::of(&fleets), !args.counters_only);
        let session = Session::open(fleets, plan)?;
        let mut recorder = Recorder::start(session, None, |_| Ok(()))?;
        privileges::keep_to_read(false).context("failed to give up privileges")?;
        recorder.note_delay(asked);
        if let Some(newcomers) = newcomers {
            recorder.welcome(newcomers);
        }
        if args.memory {
            recorder.watch_memory();
        }
        let deadline = recorder.began() + Duration::from_secs_f64(args.duration);
        if args.idle {
            recorder.run(Some(deadline), || true).await?;
            let Recorded { profile, stat, .. } = recorder.finish()?;
            let audit = IdleReport::new(&profile, &stat, servers::idle_design);
            return print(&if args.json { audit.json()? } else { audit.text(outputs::table()) });
        }
        watch(&mut recorder, args, deadline).await?;
        let Recorded { profile, stat, .. } = recorder.finish_interval()?;
        show(&stat, &profile, &findings::of(&stat, &profile), args)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Watches for the window; shows its intervals on the way, if these are asked for. All of them make the window.
async fn watch(recorder: &mut Recorder, args: &Stat, deadline: Instant) -> Result<()> {
    let Some(interval) = args.interval.map(Duration::from_secs_f64) else {
        recorder.run(Some(deadline), || true).await?;
        return Ok(());
    };
    let mut next = recorder.began() + interval;
    loop {
        let goes_on = recorder.run(Some(next.min(deadline)), || true).await?;
        show(&recorder.end_interval()?, &Profile::default(), &[], args)?;
        if !goes_on || Instant::now() >= deadline {
            return Ok(());
        }
        next += interval;
    }
}

fn show(stat: &StatDelta, profile: &Profile, findings: &[Vec<Finding>], args: &Stat) -> Result<()> {
    if stat.processes().next().is_none() {
        return Err(Failure::all_ended().into());
    }
    if args.json {
        let json = if args.interval.is_some() { json_line } else { json };
        return print(&json(stat, findings)?);
    }
    let options = TableOptions { threads: args.threads, switches: args.switches, ..outputs::table() };
    print(&text(stat, profile, findings, options))
}

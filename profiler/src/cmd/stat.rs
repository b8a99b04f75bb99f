//! `punchclock stat`: exact numbers of a window, and of its intervals.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};
use tokio::time::Instant;

use crate::{
    cli::Stat,
    cmd::{
        outputs::{self, print},
        runtime::block_on,
        target::select,
    },
    collect::{
        plans,
        recorder::{Recorded, Recorder, RecorderEdge},
        session::Session,
    },
    failure::Failure,
    fleet::servers,
    model::accounting::StatDelta,
    render::{
        stat::{idle::IdleReport, json, json_line, text},
        term::grid::TableOptions,
    },
    sys::{clock, heap, privileges},
};

/// Runs the verb.
pub fn run(args: &Stat) -> Result<ExitCode> {
    heap::bound(args.bounds.max_memory);
    let asked = Instant::now();
    let fleets = select(&args.target)?;
    block_on(async {
        let session = Session::open(fleets, plans::for_stat(clock::cpus(), !args.counters_only))?;
        let mut recorder = Recorder::start(session, None, |_| Ok(()))?;
        privileges::keep_to_read(false).context("failed to give up privileges")?;
        recorder.note_delay(asked);
        let deadline = recorder.began() + Duration::from_secs_f64(args.duration);
        if args.idle {
            recorder.run(Some(deadline), || true).await?;
            let Recorded { profile, stat, .. } = recorder.finish()?;
            let audit = IdleReport::new(&profile, &stat, servers::idle_design);
            let options = TableOptions { threads: false, colour: outputs::colour() };
            return print(&if args.json { audit.json()? } else { audit.text(options) });
        }
        let end = watch(&mut recorder, args, deadline).await?;
        show(&recorder.delta(recorder.start_edge(), &end), args)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Watches for the window; shows its intervals on the way, if these are asked for. All of them make the window.
async fn watch(recorder: &mut Recorder, args: &Stat, deadline: Instant) -> Result<RecorderEdge> {
    let Some(interval) = args.interval.map(Duration::from_secs_f64) else {
        recorder.run(Some(deadline), || true).await?;
        return recorder.edge();
    };
    let mut last = None;
    let mut next = recorder.began() + interval;
    loop {
        let goes_on = recorder.run(Some(next.min(deadline)), || true).await?;
        let edge = recorder.edge()?;
        show(&recorder.delta(last.as_ref().unwrap_or(recorder.start_edge()), &edge), args)?;
        if !goes_on || Instant::now() >= deadline {
            return Ok(edge);
        }
        last = Some(edge);
        next += interval;
    }
}

fn show(stat: &StatDelta, args: &Stat) -> Result<()> {
    if stat.processes().next().is_none() {
        return Err(Failure::all_ended().into());
    }
    if args.json {
        return print(&if args.interval.is_some() { json_line(stat)? } else { json(stat)? });
    }
    print(&text(stat, TableOptions { threads: args.threads, colour: outputs::colour() }))
}

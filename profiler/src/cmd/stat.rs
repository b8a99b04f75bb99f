//! `punchclock stat`: exact numbers of a window, and of its intervals.

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use tokio::time::Instant;

use crate::{
    bpf::Sizes,
    cli::Stat,
    cmd::{
        outputs::{self, print},
        runtime::block_on,
        target::select,
    },
    collect::session::{Edge, Session, Waited, after},
    failure::Failure,
    model::accounting::StatDelta,
    render::{json, table::Look, text},
};

/// How often the last words of the gone are taken out of the ring buffer, which holds thousands.
const TICK: Duration = Duration::from_millis(250);

/// Without stacks: the ring buffer holds forks and exits only.
const SIZES: Sizes = Sizes { processes: 16_384, stacks: 1, ring_bytes: 1 << 20 };

/// Runs the verb.
pub fn run(args: &Stat) -> Result<ExitCode> {
    let fleets = select(&args.target)?;
    block_on(async {
        let mut session = Session::open(fleets, SIZES)?;
        let start = session.snapshot(|_| {})?;
        let end = watch(&mut session, &start, args).await?;
        show(&session.delta(&start, &end)?, args)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Watches for the window; shows its intervals on the way, if these are asked for. All of them make the window.
async fn watch(session: &mut Session, start: &Edge, args: &Stat) -> Result<Edge> {
    let deadline = after(Duration::from_secs_f64(args.duration));
    let Some(interval) = args.interval.map(Duration::from_secs_f64) else {
        wait_until(session, deadline).await?;
        return session.snapshot(|_| {});
    };
    let mut last = start.clone();
    let mut next = Instant::now() + interval;
    loop {
        let goes_on = wait_until(session, next.min(deadline)).await?;
        let edge = session.snapshot(|_| {})?;
        show(&session.delta(&last, &edge)?, args)?;
        if !goes_on || Instant::now() >= deadline {
            return Ok(edge);
        }
        last = edge;
        next += interval;
    }
}

/// Waits; false if there is nothing more to wait for.
async fn wait_until(session: &mut Session, until: Instant) -> Result<bool> {
    while Instant::now() < until {
        let waited = session.wait(Some(until.min(after(TICK)))).await?;
        session.drain(|_| {});
        if waited == Waited::Stopped || session.is_over() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn show(stat: &StatDelta, args: &Stat) -> Result<()> {
    if stat.fleets.iter().all(|fleet| fleet.workers.is_empty()) {
        return Err(
            Failure::Incomplete("every process had ended before anything could be seen".to_owned()).into()
        );
    }
    if args.json {
        return print(&if args.interval.is_some() { json::line(stat)? } else { json::document(stat)? });
    }
    print(&text(stat, Look { threads: args.threads, colour: outputs::colour() }))
}

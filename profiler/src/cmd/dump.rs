//! `punchclock dump`: one stack of each thread, now.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};

use crate::{
    cli::Dump,
    cmd::{
        outputs::{self, print},
        runtime::block_on,
        target::select,
    },
    collect::{
        plans::{self, Extent},
        recorder::Recorder,
        session::{Session, after},
    },
    failure::Failure,
    render::dump::{DumpOptions, json, text},
    sys::{heap, privileges},
};

/// How often what runs is sampled, and for how long: a thread that runs all the while is hit with near certainty.
const RATE_HZ: u64 = 499;
const WHILE: Duration = Duration::from_millis(50);

/// Runs the verb.
pub fn run(args: &Dump) -> Result<ExitCode> {
    heap::bound(args.bounds.max_memory);
    let fleets = select(&args.target)?;
    let dump = block_on(async {
        let plan = plans::for_record(RATE_HZ, Extent::of(&fleets), 0, None);
        let session = Session::open(fleets, plan)?;
        let mut recorder = Recorder::start(session, Some(RATE_HZ), |_| Ok(()))?;
        privileges::keep_to_read(false).context("failed to give up privileges")?;
        recorder.run(Some(after(WHILE)), || true).await?;
        recorder.into_dump()
    })?;
    if dump.fleets.iter().all(|fleet| fleet.workers.is_empty()) {
        return Err(Failure::all_ended().into());
    }
    let options = DumpOptions { native: args.native, kernel: args.kernel, colour: outputs::colour() };
    print(&if args.json { json(&dump)? } else { text(&dump, options) })?;
    Ok(ExitCode::SUCCESS)
}

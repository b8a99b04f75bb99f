//! `punchclock ps`: the fleets of this host, and on request how each process was recognised; below them, the processes of
//! Python that are in none.

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    cli::Ps,
    cmd::outputs::{colour, print, say},
    failure::Failure,
    fleet::{ProcessProbe, Tree, alone, discover},
    render::fleets::{self, FleetOptions},
};

/// Lists them on standard output. What could not be read, or that there are none, is said on standard error.
pub fn run(args: &Ps) -> Result<ExitCode> {
    let (tree, eyes) = (Tree::scan()?, ProcessProbe::real());
    let found = discover(&tree, &eyes);
    let alone = alone(&tree, &eyes, &found);
    if args.json {
        print(&fleets::json(&found, &alone)?)?;
    } else {
        let options = FleetOptions { evidence: args.verbose, colour: colour() };
        print(&fleets::text(&found, &alone, options))?;
    }
    if found.is_empty() && alone.is_empty() {
        say(&format!("punchclock: {}", Failure::NoFleets));
    }
    let members = found.iter().flat_map(|fleet| &fleet.members).map(|member| member.hidden);
    let hidden = members.chain(alone.iter().map(|process| process.hidden)).filter(|hidden| *hidden).count();
    if hidden > 0 {
        say(&format!("punchclock: {hidden} of these processes may not be looked into by this user"));
        say("  help: `sudo punchclock ps` shows their Python, sockets and worker classes");
    }
    Ok(ExitCode::SUCCESS)
}

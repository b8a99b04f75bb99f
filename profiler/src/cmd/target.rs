//! Finds the processes that the command line asks for.

use anyhow::Result;

use crate::{
    cli::Target,
    fleet::{self, Fleet, Newcomers, Wanted},
};

/// Those that may be of such fleets and come later; whoever asks for processes wants these.
#[must_use]
pub fn newcomers(target: &Target) -> Option<Newcomers> {
    target.pid.is_empty().then(|| Newcomers::after_now(&target.fleet))
}

/// The fleets that are asked for; all of this host if none is named.
pub fn select(target: &Target) -> Result<Vec<Fleet>> {
    fleet::select(Wanted { names: &target.fleet, tgids: &target.pid })
}

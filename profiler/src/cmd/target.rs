//! From the command line's words for processes to the processes.

use anyhow::Result;

use crate::{
    cli::Target,
    fleet::{self, Fleet, Wanted},
};

/// The fleets that are asked for; all of this host if none is named.
pub fn select(target: &Target) -> Result<Vec<Fleet>> {
    fleet::select(Wanted { names: &target.fleet, tgids: &target.pid })
}

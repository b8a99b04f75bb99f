//! Finds the processes that the command line asks for.

use anyhow::Result;

use crate::{
    cli::Target,
    fleet::{self, Fleet, Wanted},
};

/// The fleets that are asked for; all of this host if none is named.
pub fn select(target: &Target) -> Result<Vec<Fleet>> {
    fleet::select(Wanted { names: &target.fleet, tgids: &target.pid })
}

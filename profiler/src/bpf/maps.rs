//! The programs' maps: adds and removes followed processes, and reads what was lost.

use anyhow::{Context, Result};
use aya::maps::{HashMap, Map, MapError, PerCpuArray};
use profiler_common::{config::FollowedProcess, loss_cause::LossCause};

use crate::bpf::Probes;

/// aya reads and writes plain arrays; the wire type is cast to and from this.
type RawProcess = [u8; size_of::<FollowedProcess>()];

impl Probes {
    /// Follows a process, or changes how; false if as many are followed as there is room for.
    pub fn follow(&mut self, tgid: u32, process: &FollowedProcess) -> Result<bool> {
        let mut processes = HashMap::<_, u32, RawProcess>::try_from(self.map_mut("PROCESSES")?)?;
        match processes.insert(tgid, bytemuck::cast::<FollowedProcess, RawProcess>(*process), 0) {
            Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::E2BIG) => {
                Ok(false)
            }
            result => result.map(|()| true).with_context(|| format!("failed to follow process {tgid}")),
        }
    }

    /// True of a process that is followed.
    pub fn follows(&mut self, tgid: u32) -> Result<bool> {
        let processes = HashMap::<_, u32, RawProcess>::try_from(self.map_mut("PROCESSES")?)?;
        match processes.get(&tgid, 0) {
            Ok(_) => Ok(true),
            Err(MapError::KeyNotFound) => Ok(false),
            Err(error) => {
                Err(error).with_context(|| format!("failed to look whether process {tgid} is followed"))
            }
        }
    }

    /// Stops following a process.
    pub fn forget(&mut self, tgid: u32) -> Result<()> {
        let mut processes = HashMap::<_, u32, RawProcess>::try_from(self.map_mut("PROCESSES")?)?;
        match processes.remove(&tgid) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("failed to forget process {tgid}")),
        }
    }

    /// What the kernel side lost so far, by cause.
    pub fn losses(&mut self) -> Result<Vec<(LossCause, u64)>> {
        let counters = PerCpuArray::<_, u64>::try_from(self.map_mut("COUNTERS")?)?;
        let mut losses = Vec::new();
        for cause in LossCause::ALL.into_iter().filter(|cause| (*cause as u32) < LossCause::KERNEL) {
            let counts = counters.get(&(cause as u32), 0).context("failed to read a counter")?;
            losses.push((cause, counts.iter().sum()));
        }
        losses.push((LossCause::RunSkipped, self.skipped_runs()?));
        Ok(losses)
    }

    pub(super) fn map_mut(&mut self, name: &str) -> Result<&mut Map> {
        self.ebpf.map_mut(name).with_context(|| format!("the object has no map {name}"))
    }
}

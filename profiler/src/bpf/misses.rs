//! Program runs that the kernel skipped because the program was already running on that CPU. Such a run did not see its
//! event, so it is a loss.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
};

use anyhow::{Context as _, Result};
use aya::programs::ProgramError;

use crate::bpf::Probes;

impl Probes {
    /// How many runs were skipped so far, of all programs that are loaded.
    pub(super) fn skipped_runs(&self) -> Result<u64> {
        let mut skipped = 0;
        for (name, program) in self.ebpf.programs() {
            let fd = match program.fd() {
                Ok(fd) => fd.as_fd().as_raw_fd(),
                Err(ProgramError::NotLoaded) => continue,
                Err(error) => return Err(error).with_context(|| format!("failed to ask about {name}")),
            };
            let path = format!("/proc/self/fdinfo/{fd}");
            let info = fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))?;
            skipped += skipped_in(&info)
                .with_context(|| format!("failed to find the skipped runs of {name} in {path}"))?;
        }
        Ok(skipped)
    }
}

/// Parses the skipped runs of a program from its `fdinfo` (`bpf_prog_show_fdinfo`, `kernel/bpf/syscall.c`).
fn skipped_in(info: &str) -> Option<u64> {
    info.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let info = "pos:\t0\nprog_type:\t26\nrun_cnt:\t9\nrecursion_misses:\t7\nverified_insns:\t2\n";
        assert_eq!(skipped_in(info), Some(7));
        assert_eq!(skipped_in("pos:\t0\n"), None);
    }
}

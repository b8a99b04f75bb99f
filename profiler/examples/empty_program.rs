//! Holds the program that does nothing on every switch, until its standard input ends: what `cargo xtask bench`
//! compares the others with. Once all is attached it prints its PID, by which the programs it holds are found.

use std::io;

use anyhow::{Context as _, Result};
use profiler::{
    bpf::{MapSizes, ProbePlan, Probes},
    cmd::runtime::block_on,
    sys::btf::Btf,
};

fn main() -> Result<()> {
    block_on(async {
        let sizes = MapSizes { processes: 1, stacks: 1, ring_bytes: 4096 };
        let mut probes = Probes::open(Btf::of_kernel()?, ProbePlan::counters_only(sizes))?;
        probes.attach_empty()?;
        println!("{}", std::process::id());
        io::copy(&mut io::stdin(), &mut io::sink()).context("failed to read standard input")?;
        Ok(())
    })
}

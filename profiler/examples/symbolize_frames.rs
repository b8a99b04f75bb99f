//! How long names take: `symbolize_frames PID FRAMES` spreads so many distinct addresses over the code that a process maps,
//! and prints how many there were, how many have names, and the ms it took to find them, as one JSON document.

use std::{env, time::Instant};

use anyhow::{Context as _, Result};
use profiler::{
    symbolize::{
        modules::{CodeLocation, Modules},
        native::functions,
    },
    sys::memory::Mapping,
};

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1).map(|argument| argument.parse::<u32>());
    let mut argument = || arguments.next().context("symbolize_frames PID FRAMES");
    let (tgid, frames) = (argument()??, u64::from(argument()??));
    let mappings = Mapping::executable(tgid)?;
    let bytes: u64 = mappings.iter().map(|mapping| mapping.end - mapping.start).sum();
    let step = (bytes / frames.max(1)).max(1) as usize;
    let addresses: Vec<u64> =
        mappings.iter().flat_map(|mapping| (mapping.start..mapping.end).step_by(step)).collect();

    let started = Instant::now();
    let mut modules = Modules::default();
    let places: Vec<_> = addresses
        .iter()
        .filter_map(|address| match modules.locate(tgid, *address)? {
            CodeLocation::File(place) => Some(place),
            CodeLocation::Jit(_) => None,
        })
        .collect();
    let named = functions(&modules, &places).len();
    let ms = started.elapsed().as_secs_f64() * 1e3;
    println!("{}", serde_json::json!({"frames": places.len(), "named": named, "ms": ms}));
    Ok(())
}

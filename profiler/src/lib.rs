//! punchclock clocks every Python worker on and off the CPU.
//!
//! The layout shows the architecture: data flows from the kernel's side (`bpf`) through `collect` into a
//! [`model`], and from the model, by `render`, to text. Who may import whom; `cargo xtask floors` reads it here:
//!
//! ```text
//! 6  cmd -> cli | fuzzing
//! 5  audit
//! 4  collect | formats
//! 3  bpf | findings -> render -> fleet | symbolize | recording | load
//! 2  model | python
//! 1  units | sys | elf | stats
//! 0  failure | profiler_common
//! ```
//!
//! Crates that only one module may name:
//!
//! ```text
//! aya: bpf
//! clap: cli main
//! inferno: render
//! askama: render
//! plotters: render
//! blazesym: symbolize
//! tokio: cmd audit collect bpf load
//! hyper: load
//! hyper_util: load
//! http_body_util: load
//! hdrhistogram: load
//! ```

pub mod audit;
pub mod bpf;
pub mod cli;
pub mod cmd;
pub mod collect;
pub mod elf;
pub mod failure;
pub mod findings;
pub mod fleet;
pub mod formats;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod load;
pub mod model;
pub mod python;
pub mod recording;
pub mod render;
pub mod stats;
pub mod symbolize;
pub mod sys;
pub mod units;

//! Collects from the kernel side and builds the model: sessions, windows, stacks and their names.

mod allowance;
mod assemble;
pub mod build_profile;
mod counts;
mod departed;
pub mod dump;
pub mod event_handler;
pub mod idle_rules;
mod memory;
mod merge;
mod packed;
pub mod plans;
pub mod preflight;
pub mod procfs_check;
pub mod recorder;
mod sent_threads;
pub mod session;
mod sleep;
mod sleepers;
pub mod stacks;
pub mod starting;
pub mod stat;
pub mod stop;
pub mod thread_times;
mod unwalked;
pub mod windows;

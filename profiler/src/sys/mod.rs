//! sys
pub mod affinity;
pub mod btf;
pub mod caps;
pub mod cgroup;
pub mod clock;
mod links;
pub mod memory;
pub mod output;
pub mod process;
pub mod thread;
pub mod timer;

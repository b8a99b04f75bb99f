//! sys
pub mod affinity;
pub mod btf;
mod caller;
pub mod caps;
pub mod cgroup;
pub mod child;
pub mod clock;
pub mod kernel;
pub mod limits;
pub mod lines;
mod links;
pub mod memory;
pub mod output;
pub mod process;
pub mod thread;
pub mod timer;

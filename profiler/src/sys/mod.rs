//! Interfaces of the operating system: `/proc`, clocks, memory, files and privileges.
pub mod affinity;
#[cfg(not(fuzzing))]
mod allocator;
pub mod btf;
pub mod budget;
pub mod caller;
pub mod caps;
pub mod cgroup;
pub mod child;
pub mod clock;
mod draft;
pub mod heap;
pub mod kernel;
pub mod limits;
pub mod lines;
mod links;
pub mod maps;
pub mod memory;
mod mounts;
pub mod output;
pub mod own_group;
pub mod privileges;
pub mod process;
mod readable;
pub mod seccomp;
#[cfg(fuzzing)]
pub mod stand_in;
pub mod status;
mod target_file;
pub mod thread;
pub mod tids;
pub mod timer;
mod unix;

//! What is counted, against the kernel's own counters.

mod budget;
mod budget_python;
mod disks_and_pipes;
mod frozen;
mod idle_everywhere;
mod idle_servers;
mod memory;
mod off_cpu;
mod one_window;
mod parked;
mod settled_waits;
mod stat;
mod storm;
mod windows;

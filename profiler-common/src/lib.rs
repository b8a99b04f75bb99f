//! The wire: what punchclock's eBPF programs and its user space both compile.
//!
//! `no_std`, no allocation, no names and no formatting. Every type that crosses is `repr(C)` without
//! padding (checked by `bytemuck` when compiled); every decoder is total: what it does not know is an
//! error value, never a panic.
#![no_std]

pub mod config;
pub mod event;
pub mod loss_cause;
pub mod python;
pub mod sched;
pub mod siphash;
pub mod syscall;
pub mod wait;

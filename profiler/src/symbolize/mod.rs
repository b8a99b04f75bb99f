//! Addresses → names. Python's at first sight, for code objects come and go, and so those of code made at run time; ELF and
//! kernel names at the end.

mod line_tables;
pub mod modules;
pub mod native;
pub(crate) mod perf_map;
pub mod python;
mod readable;
mod vdso;

//! Names of addresses: Python's and run-time code's at first sight, since code objects come and go; ELF and kernel names at
//! the end.

mod line_tables;
pub mod modules;
pub mod native;
pub(crate) mod perf_map;
pub mod python;
mod readable;
mod vdso;

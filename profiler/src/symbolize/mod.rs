//! Addresses → names. Python's at first sight, for code objects come and go; ELF and kernel names at the end.

pub mod native;
pub mod python;

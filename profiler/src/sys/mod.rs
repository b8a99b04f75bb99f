//! sys
pub mod btf;
pub mod caps;
pub mod clock;
mod links;
pub mod memory;
pub mod output;
pub mod process;

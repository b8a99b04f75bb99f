//! ELF files of strangers, read piece by piece and never mapped: one that is cut meanwhile would end us by a signal.

pub mod debug_file;
pub mod functions;
mod pieces;
mod segments;

pub use pieces::Pieces;
pub use segments::Segments;

//! ELF files that are not trusted: read in pieces and never mapped, since a mapped file that is cut would end this process by
//! SIGBUS.

mod build_id;
pub mod debug_file;
pub mod functions;
mod pieces;
mod segments;

pub use build_id::BuildId;
pub use pieces::Pieces;
pub use segments::Segments;

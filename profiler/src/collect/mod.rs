//! From the kernel's side to the model: sessions, the books of a window, stacks and their names.

pub mod books;
pub mod check;
pub mod preflight;
pub mod recorder;
pub mod session;
pub mod stacks;
pub mod stat;

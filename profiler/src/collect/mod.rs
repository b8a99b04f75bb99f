//! From the kernel's side to the model: sessions, the books of a window, stacks and their names.

mod allowance;
pub mod books;
pub mod check;
mod counts;
pub mod dump;
pub mod intake;
mod merge;
pub mod naming;
pub mod preflight;
pub mod recorder;
pub mod rules;
pub mod session;
pub mod stacks;
pub mod starting;
pub mod stat;
pub mod stop;
mod unwalked;
pub mod windows;

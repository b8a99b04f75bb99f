//! Beside programs that would harm it, and what is left behind.

mod endless;
mod guarded;
mod hostile;
mod hostile_names;
mod hostile_programs;
mod killed;
mod leftovers;
mod privileges;

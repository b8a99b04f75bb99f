//! Python and native frames, against what programs know of themselves.

mod callbacks;
mod codes;
mod embedded;
mod forms;
mod greenlets;
mod native_frames;
mod places;
mod possible_stacks;
mod record_frames;
mod record_threads;
mod subinterpreters;
mod traced;
mod two_interpreters;
mod vast;

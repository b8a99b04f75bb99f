//! Load for a web server, and what became of it.
//!
//! The built-in generator asks over HTTP/1.1 on one thread of its own, in a closed loop (so many clients, each of
//! which asks again once it is answered) or an open one (so many requests a second, answered or not). An external one
//! is another program that does it and reads what that prints. Both end as a [`crate::model::load::Load`], which
//! also says whether the generator, and not the server, set the pace.
//!
//! Answers are read to their end and thrown away: a redirect is an answer, a status of 400 and more an error.

mod client;
mod closed;
mod cpus;
mod external;
mod generator;
mod job;
mod open;
mod reading;
mod ready;
mod request_error;
#[cfg(test)]
mod server;
mod tally;
mod target;
#[cfg(test)]
mod tests;

pub use external::External;
pub use generator::{Generator, LoadOptions, Pattern};
pub use reading::{LoadReading, between};
pub use ready::first_answer;
pub use request_error::RequestError;
pub use target::TargetUrl;

//! The kernel's own books of threads, shared with the project's tests.

#[expect(dead_code, reason = "the tests ask for more of it")]
#[path = "../../tests/src/books.rs"]
mod shared;

pub use shared::{Books, states};

//! The recording file, from which everything else is rendered: `punchclock report REC -o …`.
//!
//! Its first line names the format and its version, `punchclock recording v2`; the rest is one gzip member with
//! the JSON of a [`Recording`](crate::model::recording::Recording), so that `tail -n +2 FILE | zcat | jq` shows
//! it without punchclock. The version is the model's [`SCHEMA_VERSION`](crate::model::SCHEMA_VERSION); later
//! ones are refused. Reading trusts nothing: what it returns has passed every check of `validate.rs`.

mod read;
mod validate;
mod write;

pub use read::read;
pub use write::write;

/// What the first line begins with; the version in decimal and a line feed follow.
const MAGIC: &str = "punchclock recording v";

//! Anything of the model as JSON, with a line break at its end. Names in it act on no terminal.

use serde::Serialize;

use crate::render::term::escape;

/// A document, indented.
pub fn document(model: &impl Serialize) -> anyhow::Result<String> {
    Ok(escape::json(serde_json::to_string_pretty(model)?) + "\n")
}

/// A document on a line of its own, for a stream of them.
pub fn line(model: &impl Serialize) -> anyhow::Result<String> {
    Ok(escape::json(serde_json::to_string(model)?) + "\n")
}

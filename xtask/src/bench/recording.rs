//! What a recording of `punchclock record` holds, as any program reads it.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::exec;

/// How many waits of a recording have a stack, and the Python frames of the commonest.
pub fn waits(recording: &Path) -> Result<(u64, usize)> {
    let json = exec::read(Command::new("sh").args(["-c", r#"tail -n +2 "$0" | zcat"#]).arg(recording))?;
    let recording: Value = serde_json::from_str(&json).context("failed to parse a recording")?;
    parse(&recording["profile"]).context("failed to find a wait with a stack")
}

fn parse(profile: &Value) -> Option<(u64, usize)> {
    let rows = |name: &str| profile[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |name: &str, index: &Value| rows(name).get(usize::try_from(index.as_u64()?).ok()?);
    let count = |sample: &Value| sample["count"].as_u64().unwrap_or(0);
    let kept = rows("blocked").iter().filter(|sample| sample["stack"].is_u64()).collect::<Vec<_>>();
    let commonest = kept.iter().max_by_key(|sample| count(sample))?;
    let mut frames = 0;
    let mut next = row("stacks", &commonest["stack"]);
    while let Some(stack) = next {
        frames += usize::from(row("frames", &stack["frame"])?["kind"] == "python");
        next = row("stacks", &stack["caller"]);
    }
    Some((kept.iter().map(|sample| count(sample)).sum(), frames))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn waits_without_a_stack_and_frames_of_the_kernel_do_not_count() {
        let blocked = |stack: Option<u32>, count: u64| json!({"stack": stack, "count": count});
        let profile = json!({
            "frames": [{"kind": "python"}, {"kind": "kernel"}],
            "stacks": [
                {"frame": 0, "caller": null},
                {"frame": 0, "caller": 0},
                {"frame": 1, "caller": 1},
            ],
            "blocked": [blocked(None, 50), blocked(Some(0), 3), blocked(Some(2), 40)],
        });
        assert_eq!(parse(&profile), Some((43, 2)));
        assert_eq!(parse(&json!({"blocked": [blocked(None, 1)]})), None);
    }
}

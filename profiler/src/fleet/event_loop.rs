//! Finds out which event loop a process runs.

use crate::fleet::search::Discovery;

/// The loop and how it shows: its frames are on the stack, or it is compiled and mapped.
#[must_use]
pub fn of(tgid: u32, discovery: &Discovery<'_>) -> Option<(&'static str, String)> {
    let stack = discovery.stack(tgid);
    for (file, event_loop) in [("/trio/_core/", "trio"), ("/asyncio/base_events.py", "asyncio")] {
        if stack.iter().any(|path| path.contains(file)) {
            return Some((event_loop, format!("its Python stack is in {}", file.trim_matches('/'))));
        }
    }
    let mut files = (discovery.probe.code_files)(tgid).into_iter();
    let uvloop = files.find(|file| file.iter().any(|part| part == "uvloop"))?;
    Some(("uvloop", format!("it has {} loaded", uvloop.display())))
}

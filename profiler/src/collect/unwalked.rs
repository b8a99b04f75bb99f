//! Work in interpreters that are not walked because another interpreter of their process is.

use std::collections::HashMap;

use profiler_common::{config::ON_CPU, event};

use crate::{
    bpf::Counts,
    collect::stacks::Stacks,
    python::{self, CodePart, Interpreter},
    symbolize::modules::CodeLocation,
    units,
};

/// True if a thread ran in the library of another interpreter than the one that is known of its process.
pub fn is_shown(stacks: &mut Stacks, head: &event::StackRecord, interpreter: &Interpreter) -> bool {
    let user = head.user.get(..head.user_len as usize).unwrap_or_default();
    let Some(&leaf) = user.first().filter(|_| interpreter.unwalked.is_none()) else { return false };
    let Some(CodeLocation::File(place)) = stacks.modules.locate(head.key.tgid, leaf) else { return false };
    let is_library = stacks.modules.path(place.module).is_some_and(python::is_library);
    is_library && interpreter.part_at(leaf) == CodePart::Other
}

/// A sentence for each process that has such a one, by tgid, with what of a window was run there.
#[must_use]
pub fn notes(interpreters: &HashMap<u32, Interpreter>, stacks: &Stacks, window: &Counts) -> Vec<String> {
    let mut elsewhere: HashMap<u32, (u64, u64)> = HashMap::new();
    for (key, count) in window.iter().filter(|(key, _)| stacks.is_elsewhere(key)) {
        let (samples, ns) = elsewhere.entry(key.tgid).or_default();
        *samples += if key.reason == ON_CPU { count.count } else { 0 };
        *ns += count.ns;
    }
    let unwalked =
        interpreters.iter().filter_map(|(tgid, interpreter)| Some((*tgid, interpreter.also_runs(*tgid)?)));
    let mut unwalked: Vec<_> = unwalked.collect();
    unwalked.sort_unstable();
    let note = |(tgid, sentence): (u32, String)| {
        let (samples, ns) = elsewhere.get(&tgid).copied().unwrap_or_default();
        let samples = (samples != 0).then(|| units::counted(samples, "sample"));
        let waits = (ns != 0).then(|| format!("{} ms of waits", units::ms(ns)));
        let parts: Vec<_> = samples.into_iter().chain(waits).collect();
        if parts.is_empty() { sentence } else { format!("{sentence}: {}", parts.join(", ")) }
    };
    unwalked.into_iter().map(note).collect()
}

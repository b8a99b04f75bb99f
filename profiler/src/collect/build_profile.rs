//! Builds a profile from the collected stacks: resolves the remaining names, and merges stacks that become equal.

use std::collections::HashMap;

use profiler_common::{
    config::{ON_CPU, StackKey},
    wait::Reason,
};

use crate::{
    bpf::Counts,
    collect::stacks::{Stacks, UnresolvedFrame},
    model::{
        profile::{BlockedSample, PreemptedSample, Profile, Sample},
        tables::{
            Binary, BinaryId, Frame, FrameId, FrameKind, MappedBinary, Place, Stack, StackId, StringId,
        },
        wait_times::WaitTimes,
    },
    symbolize::{
        modules::{MappedModule, Modules},
        native,
    },
    units,
};

/// Kernel function below which a blocked thread's stack holds only the switch itself and our tracing programs.
const SWITCH: &str = "__schedule";

/// The profile of a window, and why names are missing that should be there.
#[must_use]
pub fn profile(stacks: &Stacks, window: &Counts, rate_hz: u64) -> (Profile, Vec<String>) {
    let named = resolve_names(stacks, rate_hz);
    let mut samples: HashMap<Sample, u64> = HashMap::new();
    let mut blocked: HashMap<(u32, u32, Option<StackId>, Reason), WaitTimes> = HashMap::new();
    let mut preempted: HashMap<(u32, u32, Option<StackId>), WaitTimes> = HashMap::new();
    for (key, count) in window {
        let (stack, tid) = (named.stack_of(stacks, key), stacks.tid_of(key));
        let longest_ns = Some(count.longest).filter(|longest| *longest != 0);
        let times = WaitTimes { ns: count.ns, count: count.count, longest_ns };
        if key.reason == ON_CPU {
            let gil = stacks.holds_gil(key);
            let task = stacks.task(key);
            let sample = Sample { tgid: key.tgid, tid, stack, gil, task, count: 0 };
            *samples.entry(sample).or_default() += count.count;
        } else if let Some(reason) = stacks.reason(key) {
            let sum = blocked.entry((key.tgid, tid, stack, reason));
            sum.and_modify(|sum| sum.add(&times)).or_insert(times);
        } else {
            let sum = preempted.entry((key.tgid, tid, stack));
            sum.and_modify(|sum| sum.add(&times)).or_insert(times);
        }
    }
    let mut profile = named.profile;
    profile.samples = samples.into_iter().map(|(sample, count)| Sample { count, ..sample }).collect();
    profile.samples.sort_by_key(|sample| (sample.tgid, sample.tid, sample.stack, sample.gil, sample.task));
    let waits = blocked.into_iter();
    profile.blocked = waits
        .map(|((tgid, tid, stack, reason), times)| BlockedSample { tgid, tid, stack, reason, times })
        .collect();
    profile.blocked.sort_by_key(|wait| (wait.tgid, wait.tid, wait.stack, wait.reason));
    let waits = preempted.into_iter();
    profile.preempted =
        waits.map(|((tgid, tid, stack), times)| PreemptedSample { tgid, tid, stack, times }).collect();
    profile.preempted.sort_by_key(|wait| (wait.tgid, wait.tid, wait.stack));
    (profile, named.unnamed)
}

/// A profile without samples, and the index in it of each stack that it was built from.
pub struct BuiltProfile {
    /// The profile.
    pub profile: Profile,
    /// Why names are missing, in sentences.
    pub unnamed: Vec<String>,
    chains: Vec<StackId>,
}

impl BuiltProfile {
    /// The index of a stack in the profile; `None` if it was never described.
    #[must_use]
    pub fn stack_of(&self, stacks: &Stacks, key: &StackKey) -> Option<StackId> {
        stacks.described.get(key).map(|described| self.chains[described.chain.index()])
    }
}

/// Resolves the names that are missing. Frames that get the same name become one, and so do their stacks.
#[must_use]
pub fn resolve_names(stacks: &Stacks, rate_hz: u64) -> BuiltProfile {
    let mut places = Vec::new();
    let mut addresses = Vec::new();
    for frame in stacks.frames.rows() {
        match frame {
            UnresolvedFrame::Native(place) => places.push(*place),
            UnresolvedFrame::Kernel(address) => addresses.push(*address),
            UnresolvedFrame::Python { .. }
            | UnresolvedFrame::Jit(_)
            | UnresolvedFrame::KernelNamed(_)
            | UnresolvedFrame::Mark(_) => {}
        }
    }
    let functions = native::functions(&stacks.modules, &places);
    let mut unnamed = Vec::new();
    let kernel_names = native::kernel_names(&addresses).unwrap_or_else(|error| {
        unnamed.push(format!("kernel frames have no names: {error:#}"));
        HashMap::new()
    });
    if stacks.modules.closed() > 0 {
        let files = units::counted(stacks.modules.closed() as u64, "file");
        unnamed.push(format!("the code of {files} has no names: the limit of open files allows no more"));
    }
    let mut profile = Profile { rate_hz, strings: stacks.strings.clone(), ..Profile::default() };
    let binaries = add_binaries(&mut profile, &stacks.modules);
    let mut frames = Vec::with_capacity(stacks.frames.rows().len());
    for raw in stacks.frames.rows() {
        let strings = &mut profile.strings;
        let no_symbol = || "[no symbol]".to_owned();
        let kernel = |name| Frame::named(FrameKind::Kernel, name);
        let frame = match raw {
            UnresolvedFrame::Python { name, file, line, first_line } => Frame {
                file: Some(*file),
                line: *line,
                first_line: *first_line,
                ..Frame::named(FrameKind::Python, *name)
            },
            UnresolvedFrame::Native(place) => {
                let function = functions.get(place);
                let name = strings.intern(function.map_or_else(no_symbol, |function| function.name.clone()));
                let (file, binary) = binaries[place.module as usize];
                let offset = function.map_or(place.offset, |function| function.start);
                let place = Some(Place { binary, offset });
                Frame { file: Some(file), place, ..Frame::named(FrameKind::Native, name) }
            }
            UnresolvedFrame::Jit(name) => Frame::named(FrameKind::Native, *name),
            UnresolvedFrame::Kernel(address) => {
                kernel(strings.intern(kernel_names.get(address).cloned().unwrap_or_else(no_symbol)))
            }
            UnresolvedFrame::KernelNamed(name) => kernel(*name),
            UnresolvedFrame::Mark(mark) => {
                Frame::named(FrameKind::Mark, strings.intern(mark.text().to_owned()))
            }
        };
        frames.push(profile.frames.intern(frame));
    }
    let switch = profile.strings.rows().iter().position(|name| name == SWITCH);
    let is_switch = |frame: FrameId| {
        profile
            .frames
            .get(frame)
            .is_some_and(|frame| frame.kind == FrameKind::Kernel && Some(frame.name.index()) == switch)
    };
    let mut chains: Vec<StackId> = Vec::with_capacity(stacks.chains.rows().len());
    // The switch, and the tracing programs that it calls, are left out: the stack ends at its caller.
    let mut is_cut: Vec<bool> = Vec::with_capacity(stacks.chains.rows().len());
    for chain in stacks.chains.rows() {
        // A caller was interned before its leaf.
        let caller = chain.caller.map(|caller| (chains[caller.index()], is_cut[caller.index()]));
        let frame = frames[chain.frame.index()];
        match caller {
            Some((caller, cut)) if cut || is_switch(frame) => {
                chains.push(caller);
                is_cut.push(true);
            }
            caller => {
                let caller = caller.map(|(caller, _)| caller);
                chains.push(profile.stacks.intern(Stack { frame, caller }));
                is_cut.push(false);
            }
        }
    }
    BuiltProfile { profile, unnamed, chains }
}

/// Adds the files of native code, and where they are mapped. The path and the id of each, by its module's index.
fn add_binaries(profile: &mut Profile, modules: &Modules) -> Vec<(StringId, BinaryId)> {
    let mut binaries = Vec::new();
    for (module, path) in (0..).map_while(|module| Some((module, modules.path(module)?))) {
        let path = profile.strings.intern(path.to_string_lossy().into_owned());
        let build_id = native::build_id(modules, module);
        binaries.push((path, profile.binaries.intern(Binary { path, build_id })));
    }
    for &MappedModule { tgid, module, start, end, offset } in modules.mapped() {
        let (_, binary) = binaries[module as usize];
        profile.mappings.intern(MappedBinary { tgid, binary, start, end, offset });
    }
    binaries
}

//! The walk of a thread's frames as the kernel side takes it, over an interpreter's memory.

use bytemuck::Zeroable as _;
use profiler::{fuzzing, sys::stand_in::Parts};
use profiler_common::python::{
    Borrowed, CStack, End, Interpreters, MAX_PY_FRAMES, MAX_STEPS, PyFrame, ReadMemory, ReadWindow,
    TstateSearch, Walk,
};

use crate::targets::snapshot;

/// Memory as it was read.
struct Memory(Parts);

impl Memory {
    fn bytes(&self, address: u64, bytes: usize) -> Option<&[u8]> {
        let (start, part) = self.0.range(..=address).next_back()?;
        part.get(usize::try_from(address - start).ok()?..)?.get(..bytes)
    }

    fn word(&self, address: u64) -> Option<u64> {
        Some(u64::from_ne_bytes(*self.bytes(address, 8)?.first_chunk()?))
    }
}

impl ReadMemory for Memory {
    fn read(&mut self, address: u64, bytes: u32, window: &mut ReadWindow) -> bool {
        let read = self.bytes(address, bytes as usize);
        let window = bytemuck::bytes_of_mut(window).get_mut(..bytes as usize);
        read.zip(window).map(|(read, window)| window.copy_from_slice(read)).is_some()
    }
}

pub fn run(input: &[u8]) {
    let (facts, parts) = snapshot::decode(input);
    let mut memory = Memory(parts);
    let Some(layout) = fuzzing::layout(&facts, |address, bytes| memory.bytes(address, bytes)) else { return };
    let offsets = &layout.walk;
    let interpreters =
        Interpreters { main: facts.main_interpreter, newest: facts.newest_interpreter, descriptor_bytes: 0 };
    let stack = CStack { pointer: facts.stack_pointer, thread_pointer: facts.thread_pointer };
    let read = |address| memory.word(address);
    let own = (facts.tstate, interpreters.main);
    let mut borrowed = Borrowed::begin((offsets, &interpreters), stack, own, read, |_| Borrowed::NOWHERE);
    let steps = (0..Borrowed::STEPS).take_while(|_| borrowed.step(offsets, read, |_| Borrowed::NOWHERE));
    assert!(steps.count() <= Borrowed::STEPS as usize);
    let mut search = TstateSearch::begin(offsets, interpreters.main, facts.thread_pointer, read);
    for _ in 0..TstateSearch::STEPS {
        if !search.step(offsets, read) {
            break;
        }
    }

    let mut frames = Box::new([PyFrame::default(); MAX_PY_FRAMES]);
    let mut walk = Walk::zeroed();
    if !walk.enter(&mut memory, offsets, facts.tstate) {
        return;
    }
    for (tstate, are_callers) in [(search.result(), true), (borrowed.result(), false)] {
        if tstate != 0 {
            walk.join(&mut memory, offsets, tstate, are_callers);
        }
    }
    let mut steps = 0;
    while walk.step(&mut memory, offsets, &mut frames) || walk.step_back(&mut memory, offsets) {
        steps += 1;
        if steps == MAX_STEPS {
            return;
        }
    }
    walk.mix_in();
    assert!(walk.len as usize <= MAX_PY_FRAMES && walk.end != End::None as u32);
}

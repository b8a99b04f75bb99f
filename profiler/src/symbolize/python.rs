//! Python code objects → names, files and lines.

use std::{collections::HashMap, sync::Arc};

use profiler_common::python::PyFrame;

use crate::{
    python::{Interpreter, code::Code},
    sys::memory::Memory,
};

/// The code objects of all followed processes, each read once.
#[derive(Debug, Default)]
pub struct Codes {
    codes: HashMap<(u32, u64), Option<Arc<Code>>>,
}

impl Codes {
    /// The code object of a frame; `None` if it could not be read when it was first seen.
    pub fn get(&mut self, tgid: u32, interpreter: &Interpreter, frame: &PyFrame) -> Option<Arc<Code>> {
        self.codes
            .entry((tgid, frame.code()))
            .or_insert_with(|| interpreter.code(Memory::of(tgid), frame.code()).map(Arc::new))
            .clone()
    }

    /// Takes over what a parent had when it forked this process.
    pub fn inherit(&mut self, tgid: u32, parent_tgid: u32) {
        let known = self.codes.iter().filter(|((of, _), code)| *of == parent_tgid && code.is_some());
        let known: Vec<_> = known.map(|((_, address), code)| ((tgid, *address), code.clone())).collect();
        self.codes.extend(known);
    }

    /// Forgets a process that runs another program now, or none.
    pub fn forget(&mut self, tgid: u32) {
        self.codes.retain(|(of, _), _| *of != tgid);
    }
}

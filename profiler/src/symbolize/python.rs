//! Names, files and lines of Python code objects.

use std::{collections::HashMap, sync::Arc};

use profiler_common::{
    event,
    python::{BY_ADDRESS, ENTRY, FrameRef, MARKS},
};

use crate::{
    python::{Interpreter, code::CodeObject},
    symbolize::line_tables::LineTables,
    sys::{heap, memory::Memory},
};

/// What it takes to keep a code object that the kernel side tells, about.
const BYTES: usize = size_of::<event::CodeRecord>();

/// A Python frame with its code object; without one if that could not be read.
#[derive(Clone, Debug)]
pub struct PythonFrame {
    /// Code object of the frame, and its line.
    pub code: Option<(Arc<CodeObject>, u32)>,
    /// True if native code called it.
    pub is_entry: bool,
}

/// The code objects that the kernel side has told, by their definitions' numbers.
#[derive(Debug, Default)]
pub struct Codes {
    defined: HashMap<u64, Option<Arc<CodeObject>>>,
    /// The code objects of the process that is looked at, by address.
    looked_at: HashMap<u64, Option<Arc<CodeObject>>>,
    line_tables: LineTables,
}

impl Codes {
    /// Takes in a definition, if there is room to keep it.
    pub fn define(&mut self, record: &event::CodeRecord, lines: Option<&[u8]>, interpreter: &Interpreter) {
        if !heap::keep(record.tgid, BYTES) {
            return;
        }
        let code = interpreter.code_from_record(Memory::of(record.tgid), record, lines).map(|code| {
            let line_table = self.line_tables.keep(record.tgid, code.line_table());
            Arc::new(code.with_line_table(line_table))
        });
        self.defined.insert(record.id, code);
    }

    /// Begins a look at a process, of which code objects are read once.
    pub fn begin_look(&mut self) {
        self.looked_at.clear();
    }

    /// A frame with its code object: as it was told, or, where it could not be, as it is in memory now.
    #[must_use]
    pub fn resolve(
        &mut self,
        memory: Memory,
        interpreter: Option<&Interpreter>,
        frame: &FrameRef,
    ) -> PythonFrame {
        let number = frame.tagged_code & !MARKS;
        let code = if frame.tagged_code & BY_ADDRESS == 0 {
            self.defined.get(&number).cloned().flatten().map(|code| {
                let line = self.line_tables.line(memory.tgid(), number, &code, frame.instr);
                (code, line)
            })
        } else {
            let read = || interpreter?.code(memory, number).map(Arc::new);
            let code = if memory.is_in_pages() {
                self.looked_at.entry(number).or_insert_with(read).clone()
            } else {
                read()
            };
            code.map(|code| {
                let line = code.line(frame.instr);
                (code, line)
            })
        };
        PythonFrame { code, is_entry: frame.tagged_code & ENTRY != 0 }
    }
}

//! Line tables: the format, the first line, an instruction, then the table.

use profiler::python::lines::{LineTableFormat, line_of};

use crate::targets::take;

pub fn run(mut input: &[u8]) {
    let [format] = take(&mut input);
    let format = [LineTableFormat::Lnotab, LineTableFormat::Linetable, LineTableFormat::Locations]
        [usize::from(format % 3)];
    let first = u32::from_le_bytes(take(&mut input));
    let instruction = i64::from_le_bytes(take(&mut input));
    let line = line_of(format, input, first, instruction);
    assert!(instruction >= 0 || line == first);
}

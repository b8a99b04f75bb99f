//! Line tables: from an instruction to the source line that it belongs to.
//!
//! Formats: `Objects/lnotab_notes.txt` of each CPython; PEP 626 (3.10); `Objects/locations.md` (3.11).

/// How a version writes its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineTableFormat {
    /// ≤ 3.9: pairs of (bytes forward, lines forward).
    Lnotab,
    /// 3.10: pairs of (length of a range, lines forward).
    Linetable,
    /// 3.11 on: variable-length entries with columns.
    Locations,
}

/// The line of an instruction, counted in bytes from the first one; `first` if the table does not say.
///
/// An instruction before the first (`f_lasti` −1: not started yet) is on the first line.
#[must_use]
pub fn line_of(format: LineTableFormat, table: &[u8], first: u32, instruction: i64) -> u32 {
    let Ok(instruction) = u64::try_from(instruction) else { return first };
    let line = match format {
        LineTableFormat::Lnotab => Some(lnotab(table, i64::from(first), instruction)),
        LineTableFormat::Linetable => linetable(table, i64::from(first), instruction),
        LineTableFormat::Locations => locations(table, i64::from(first), instruction / 2),
    };
    line.and_then(|line| u32::try_from(line).ok()).unwrap_or(first)
}

fn lnotab(table: &[u8], first: i64, instruction: u64) -> i64 {
    let (mut line, mut address) = (first, 0);
    for pair in table.chunks_exact(2) {
        address += u64::from(pair[0]);
        if address > instruction {
            break;
        }
        line += i64::from(pair[1].cast_signed());
    }
    line
}

fn linetable(table: &[u8], first: i64, instruction: u64) -> Option<i64> {
    let (mut line, mut end) = (first, 0);
    for pair in table.chunks_exact(2) {
        end += u64::from(pair[0]);
        let forward = pair[1].cast_signed();
        // -128: this range has no line of its own.
        if forward != -128 {
            line += i64::from(forward);
        }
        if instruction < end {
            return (forward != -128).then_some(line);
        }
    }
    None
}

/// Entry: `0x80 | code << 3 | (units - 1)`, then what the code says.
fn locations(table: &[u8], first: i64, unit: u64) -> Option<i64> {
    let mut bytes = table.iter().copied();
    let (mut line, mut end) = (first, 0);
    while let Some(head) = bytes.next() {
        let code = head >> 3 & 15;
        match code {
            0..=9 => skip(&mut bytes, 1),
            10..=12 => {
                line = line.wrapping_add(i64::from(code - 10));
                skip(&mut bytes, 2);
            }
            13 => line = line.wrapping_add(signed(&mut bytes)),
            14 => {
                line = line.wrapping_add(signed(&mut bytes));
                for _ in 0..3 {
                    varint(&mut bytes);
                }
            }
            _ => {}
        }
        end += u64::from(head & 7) + 1;
        if unit < end {
            // 15: no location; the line goes on for what follows, but not for this.
            return (code != 15).then_some(line);
        }
    }
    None
}

fn skip(bytes: &mut impl Iterator<Item = u8>, count: usize) {
    for _ in 0..count {
        bytes.next();
    }
}

/// Six bits a byte, the lowest first; bit 6 says that more follow.
fn varint(bytes: &mut impl Iterator<Item = u8>) -> u64 {
    let (mut value, mut shift) = (0u64, 0);
    for byte in bytes {
        if shift < 64 {
            value |= u64::from(byte & 63) << shift;
        }
        shift += 6;
        if byte & 64 == 0 {
            break;
        }
    }
    value
}

/// The sign is the lowest bit.
fn signed(bytes: &mut impl Iterator<Item = u8>) -> i64 {
    let value = varint(bytes);
    let magnitude = (value >> 1).cast_signed();
    if value & 1 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lnotab_of_its_own_notes() {
        // Objects/lnotab_notes.txt: lines 1, 2, 7, 361, 350 at the bytes 0, 6, 50, 350, 360.
        let table = [6, 1, 44, 5, 255, 0, 45, 127, 0, 127, 0, 100, 10, (-11i8).cast_unsigned()];
        let line = |instruction| line_of(LineTableFormat::Lnotab, &table, 1, instruction);
        assert_eq!([0, 5, 6, 49, 50, 349, 350, 360].map(line), [1, 1, 2, 2, 7, 7, 361, 350]);
    }

    #[test]
    fn linetable_with_a_gap() {
        // Lines 10, none, 12: ranges of 4, 2 and 6 bytes.
        let table = [4, 0, 2, 0x80, 6, 2];
        let line = |instruction| line_of(LineTableFormat::Linetable, &table, 10, instruction);
        assert_eq!([0, 2, 4, 6, 10].map(line), [10, 10, 10, 12, 12]);
    }

    #[test]
    fn locations_of_all_kinds() {
        let entry = |code: u8, units: u8| 0x80 | code << 3 | (units - 1);
        let table = [
            // Two units on the first line, short form.
            vec![entry(0, 2), 0x00],
            // One unit, one line on.
            vec![entry(11, 1), 0, 0],
            // One unit without a place; the next goes on from the line before.
            vec![entry(15, 1)],
            // Two units, -1 line (signed 3), no columns.
            vec![entry(13, 2), 3],
            // One unit, +70 lines (signed 140: six bits 12 with more to come, then 2), end line and columns.
            vec![entry(14, 1), 0b100_1100, 2, 0, 1, 1],
        ]
        .concat();
        let line = |unit: i64| line_of(LineTableFormat::Locations, &table, 5, unit * 2);
        assert_eq!([0, 1, 2, 3, 4, 5, 6].map(line), [5, 5, 6, 5, 5, 5, 75]);
    }

    #[test]
    fn what_no_table_says_is_on_the_first_line() {
        for format in [LineTableFormat::Lnotab, LineTableFormat::Linetable, LineTableFormat::Locations] {
            assert_eq!(line_of(format, &[], 3, 10), 3);
            assert_eq!(line_of(format, &[1, 1], 3, -2), 3);
        }
    }

    #[test]
    fn no_table_is_too_broken() {
        for first in 0..=255u8 {
            for second in 0..=255u8 {
                for format in
                    [LineTableFormat::Lnotab, LineTableFormat::Linetable, LineTableFormat::Locations]
                {
                    let _ = line_of(format, &[first, second, second], 1, 7);
                }
            }
        }
    }
}

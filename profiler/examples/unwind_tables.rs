//! What tables for unwinding, made of `.eh_frame`, would cost for a process: rows, bytes, and the time to make them.
//!
//! `cargo run --release --example unwind_tables -- PID`; the figures are in `docs/design/symbols.md`.

use std::{
    collections::{BTreeMap, HashSet},
    env,
    fs::File,
    io::Read as _,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use gimli::{
    BaseAddresses, CfaRule, CieOrFde, EhFrame, NativeEndian, Register, RegisterRule, UnwindContext,
    UnwindSection,
};
use object::{Object as _, ObjectSection as _};
use profiler::sys::memory::Mapping;

/// DWARF's numbers of `%rbp` and of the return address.
const FRAME_POINTER: Register = Register(6);
const RETURN_ADDRESS: Register = Register(16);

/// A row of 8 bytes: a 4-byte address and a packed rule; or of 4, with a rule in a table.
const WIDE_BYTES: u64 = 8;
const NARROW_BYTES: u64 = 4;

#[derive(Default)]
struct UnwindTable {
    functions: u64,
    /// Rows as they are written.
    rows: u64,
    /// Without those that say what the row before them says.
    distinct: u64,
    /// Distinct rows that need an expression, because a few registers and offsets do not describe them.
    expressions: u64,
    rules: HashSet<String>,
    took: Duration,
}

fn main() -> Result<()> {
    let tgid = env::args().nth(1).context("which process? unwind_tables PID")?.parse()?;
    let mut files = BTreeMap::new();
    for mapping in Mapping::executable(tgid)? {
        files.entry(mapping.path.clone()).or_insert_with(|| mapping.open(tgid));
    }
    println!(
        "{:>9} {:>9} {:>9} {:>6} {:>5} {:>9} {:>9} {:>6}  file",
        "functions", "rows", "distinct", "rules", "expr", "8 B a row", "4 B a row", "ms"
    );
    let mut sum = UnwindTable::default();
    for (path, file) in files {
        let Some(file) = file else { continue };
        let started = Instant::now();
        let Some(mut table) = read(file).with_context(|| format!("failed to read {}", path.display()))?
        else {
            continue;
        };
        table.took = started.elapsed();
        print(&table, &path.file_name().unwrap_or_default().to_string_lossy());
        sum.functions += table.functions;
        sum.rows += table.rows;
        sum.distinct += table.distinct;
        sum.expressions += table.expressions;
        sum.took += table.took;
        sum.rules.extend(table.rules);
    }
    print(&sum, "all");
    Ok(())
}

fn print(table: &UnwindTable, name: &str) {
    println!(
        "{:>9} {:>9} {:>9} {:>6} {:>5} {:>9} {:>9} {:>6}  {name}",
        table.functions,
        table.rows,
        table.distinct,
        table.rules.len(),
        table.expressions,
        table.distinct * WIDE_BYTES,
        table.distinct * NARROW_BYTES + table.rules.len() as u64 * WIDE_BYTES,
        table.took.as_millis(),
    );
}

fn read(mut file: File) -> Result<Option<UnwindTable>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let elf = object::File::parse(bytes.as_slice())?;
    let Some(section) = elf.section_by_name(".eh_frame") else { return Ok(None) };
    let section_at = |name| elf.section_by_name(name).map_or(0, |section| section.address());
    let bases = BaseAddresses::default().set_eh_frame(section.address()).set_text(section_at(".text"));
    let frames = EhFrame::new(section.data()?, NativeEndian);
    let mut rows = Vec::new();
    let mut table = UnwindTable::default();
    let mut context = UnwindContext::new();
    let mut entries = frames.entries(&bases);
    while let Some(entry) = entries.next()? {
        let CieOrFde::Fde(partial) = entry else { continue };
        let function = partial.parse(EhFrame::cie_from_offset)?;
        table.functions += 1;
        let mut unwound = function.rows(&frames, &bases, &mut context)?;
        while let Some(row) = unwound.next_row()? {
            let (caller, frame) = (row.register(RETURN_ADDRESS), row.register(FRAME_POINTER));
            let is_expression = matches!(row.cfa(), CfaRule::Expression(_))
                || [&caller, &frame]
                    .into_iter()
                    .any(|rule| matches!(rule, RegisterRule::Expression(_) | RegisterRule::ValExpression(_)));
            rows.push((row.start_address(), format!("{:?} {caller:?} {frame:?}", row.cfa()), is_expression));
        }
    }
    table.rows = rows.len() as u64;
    rows.sort();
    rows.dedup_by(|next, before| next.1 == before.1);
    table.distinct = rows.len() as u64;
    table.expressions = rows.iter().filter(|(_, _, is_expression)| *is_expression).count() as u64;
    table.rules = rows.into_iter().map(|(_, rule, _)| rule).collect();
    Ok(Some(table))
}

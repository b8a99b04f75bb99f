//! The object's functions as its instructions show them: how much stack each uses, and whom it calls.
//!
//! It counts what the kernel counts (`check_max_stack_depth` of its verifier), but also in code that no way leads to.

use std::collections::BTreeSet;

use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, SectionIndex, SectionKind,
    SymbolKind,
};

/// The register that points at the end of a function's stack frame.
const FRAME: usize = 10;

pub struct BpfFunction {
    pub name: String,
    /// How far below the frame's end it reaches.
    pub stack_bytes: u32,
    /// Functions that are called, or handed to a helper that calls them (`bpf_loop`): indices into the whole list.
    pub calls: BTreeSet<usize>,
}

/// A function and where its code lies.
struct CodeRange {
    name: String,
    section: SectionIndex,
    start: u64,
    end: u64,
}

/// Every function of the object.
pub fn of(object: &object::File<'_>) -> Vec<BpfFunction> {
    let symbols = object.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0);
    let places: Vec<_> = symbols
        .map(|symbol| CodeRange {
            name: symbol.name().expect("a function has a name").to_owned(),
            section: symbol.section_index().expect("a function is defined"),
            start: symbol.address(),
            end: symbol.address() + symbol.size(),
        })
        .collect();
    let instructions = object.sections().filter(|section| section.kind() == SectionKind::Text);
    let covered: u64 = places.iter().map(|place| place.end - place.start).sum();
    assert_eq!(covered, instructions.map(|section| section.size()).sum(), "code that is of no function");
    places.iter().map(|place| function(object, place, &places)).collect()
}

fn function(object: &object::File<'_>, place: &CodeRange, places: &[CodeRange]) -> BpfFunction {
    let section = object.section_by_index(place.section).expect("a section");
    let code = section.data_range(place.start, place.end - place.start).ok().flatten().expect("code");
    let mut calls = BTreeSet::new();
    let mut stack = StackUse::default();
    for (index, bytes) in code.chunks_exact(8).enumerate() {
        let instruction = Instruction::from(bytes);
        stack.step(&instruction);
        let address = place.start + index as u64 * 8;
        let relocation =
            section.relocations().find(|(at, _)| *at == address).map(|(_, relocation)| relocation);
        let target = relocation.map(|relocation| match relocation.target() {
            RelocationTarget::Symbol(symbol) => object.symbol_by_index(symbol).expect("a symbol"),
            other => panic!("a relocation to {other:?} in {}", place.name),
        });
        let (section, base) = match &target {
            Some(symbol) => (symbol.section_index(), symbol.address()),
            None => (Some(place.section), address),
        };
        // As LLVM's "BPF relocation types" have it: what is added to the symbol stands in the instruction.
        let called = if instruction.is_call() {
            base.wrapping_add_signed((i64::from(instruction.immediate) + 1) * 8)
        } else if instruction.is_address() && target.is_some() {
            base.wrapping_add_signed(i64::from(instruction.immediate))
        } else {
            continue;
        };
        let is_there = |place: &CodeRange| Some(place.section) == section && place.start == called;
        let found = places.iter().position(is_there);
        assert!(found.is_some() || !instruction.is_call(), "a call of nothing in {}", place.name);
        calls.extend(found);
    }
    BpfFunction { name: place.name.clone(), stack_bytes: stack.bytes, calls }
}

/// One instruction, as the kernel's `struct bpf_insn` has it.
struct Instruction {
    code: u8,
    to: usize,
    from: usize,
    offset: i16,
    immediate: i32,
}

impl From<&[u8]> for Instruction {
    fn from(bytes: &[u8]) -> Self {
        let &[code, registers, o0, o1, i0, i1, i2, i3] = bytes else { panic!("half an instruction") };
        Self {
            code,
            to: usize::from(registers & 15),
            from: usize::from(registers >> 4),
            offset: i16::from_le_bytes([o0, o1]),
            immediate: i32::from_le_bytes([i0, i1, i2, i3]),
        }
    }
}

impl Instruction {
    /// A call of a function of the object; a helper's has another source.
    fn is_call(&self) -> bool {
        self.code == 0x85 && self.from == 1
    }

    /// Loads an address of 64 bits: a map's, or a function's that a helper is to call.
    fn is_address(&self) -> bool {
        self.code == 0x18
    }
}

/// Where registers point into the frame, and how deep it was reached. Of the ways through a function it knows only the
/// order in which they are written, which for addresses in the frame is how LLVM writes them.
struct StackUse {
    /// Distance from the frame's end, of registers that point into the frame.
    registers: [Option<i32>; 11],
    bytes: u32,
}

impl Default for StackUse {
    fn default() -> Self {
        let mut registers = [None; 11];
        registers[FRAME] = Some(0);
        Self { registers, bytes: 0 }
    }
}

impl StackUse {
    fn step(&mut self, &Instruction { code, to, from, offset, immediate }: &Instruction) {
        let reached = match code {
            0xbf => {
                self.registers[to] = self.registers[from];
                None
            }
            0x07 => {
                self.registers[to] = self.registers[to].map(|distance| distance + immediate);
                self.registers[to]
            }
            _ => match code & 7 {
                // Loads.
                1 => {
                    let reached = self.registers[from].map(|distance| distance + i32::from(offset));
                    self.registers[to] = None;
                    reached
                }
                // Stores.
                2 | 3 => self.registers[to].map(|distance| distance + i32::from(offset)),
                // Calls leave nothing in the registers of their arguments; jumps write none.
                5 if code == 0x85 => {
                    self.registers[..6].fill(None);
                    None
                }
                5 | 6 => None,
                _ => {
                    self.registers[to] = None;
                    None
                }
            },
        };
        self.bytes = self.bytes.max(reached.map_or(0, |distance| (-distance).max(0) as u32));
    }
}

//! Tests of the built eBPF object that need no kernel.

mod functions;

use std::{env, fs};

use functions::BpfFunction;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/punchclock-ebpf"));

/// The kernel allows 512 bytes to all frames of a chain together. What is left of it is room for what another compiler
/// spills.
const STACK_BYTES: u32 = 448;
/// `MAX_CALL_FRAMES` of the kernel.
const FRAMES: usize = 8;

#[test]
fn the_object_is_for_the_machine_that_loads_it() {
    let object = object::File::parse(OBJECT).unwrap();
    let symbol = object.symbol_by_name("MACHINE").expect("the object says for which machine it is");
    let section = object.section_by_index(symbol.section_index().unwrap()).unwrap();
    let said = section.data_range(symbol.address(), symbol.size()).unwrap().unwrap();
    // `e_machine` of this very program.
    let ours = &fs::read(env::current_exe().unwrap()).unwrap()[18..20];
    assert_eq!(said, ours);
}

#[test]
fn the_deepest_chain_of_calls_leaves_room_on_the_stack() {
    let functions = functions::of(&object::File::parse(OBJECT).unwrap());
    let chains = functions.iter().flat_map(|function| chains(function, &functions));
    let deepest = chains.max_by_key(|chain| bytes(chain)).unwrap();
    assert!(bytes(&deepest) <= STACK_BYTES, "more than {STACK_BYTES} bytes of stack: {}", sentence(&deepest));
}

#[test]
fn the_longest_chain_of_calls_has_frames_enough() {
    let functions = functions::of(&object::File::parse(OBJECT).unwrap());
    let chains = functions.iter().flat_map(|function| chains(function, &functions));
    let longest = chains.max_by_key(Vec::len).unwrap();
    assert!(longest.len() <= FRAMES, "more than {FRAMES} frames: {}", sentence(&longest));
}

/// Every chain of calls that begins with this function and cannot go on. The kernel refuses recursion; so do we.
fn chains<'a>(function: &'a BpfFunction, functions: &'a [BpfFunction]) -> Vec<Vec<&'a BpfFunction>> {
    if function.calls.is_empty() {
        return vec![vec![function]];
    }
    let called = function.calls.iter().flat_map(|&index| chains(&functions[index], functions));
    called.map(|chain| [vec![function], chain].concat()).collect()
}

/// The stack that the kernel takes a chain to need. It rounds frames up to 32 bytes, or to 16 from 6.8 on where it
/// compiles them; none takes nothing.
fn bytes(chain: &[&BpfFunction]) -> u32 {
    chain.iter().map(|function| function.stack_bytes.max(1).next_multiple_of(32)).sum()
}

fn sentence(chain: &[&BpfFunction]) -> String {
    let frames = chain.iter().map(|function| format!("{} {}", function.name, function.stack_bytes));
    let frames = frames.collect::<Vec<_>>().join(" + ");
    format!("{} bytes in {} frames, each rounded up to 32: {frames}", bytes(chain), chain.len())
}

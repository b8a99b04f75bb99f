//! punchclock's kernel side: one topic a file, each program a shell over a `try_*` whose error is the
//! [`LossCause`](profiler_common::loss_cause::LossCause) to count.
//!
//! It counts and copies; it never formats, names, sorts or symbolises.
#![no_std]
#![no_main]

// The kernel's memory, by its types.
mod file_mode;
mod kernel;
mod registers;
mod run_queue;
mod task;

// Followed processes and threads, and what the threads wait for.
mod process;
mod receive;
mod sched;
mod seqlock;
mod snapshot;
mod thread;
mod wait;
mod wait_reason;
mod wait_stack;
mod wake;

// Stacks.
mod borrowed;
mod code;
mod code_identity;
mod content;
mod definition;
mod native;
mod pystack;
mod sample;
mod scratch;
mod stack;
mod stack_count;
mod user_memory;

// Maps, and constants of the loader.
mod map_cell;
mod maps;
mod rodata;

/// The verifier refuses an infinite loop and the programs never panic: every index is masked.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// The machine whose registers the programs read, by ELF's number of it (`e_machine`), as tests find it in the object.
#[unsafe(no_mangle)]
static MACHINE: u16 = if cfg!(bpf_target_arch = "aarch64") { 183 } else { 62 };

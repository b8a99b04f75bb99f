//! punchclock's kernel side: one topic a file, each program a shell over a `try_*` whose error is the
//! [`LossCause`](profiler_common::loss_cause::LossCause) to count.
//!
//! It counts and copies; it never formats, names, sorts or symbolises.
#![no_std]
#![no_main]

mod blocked;
mod borrowed;
mod code;
mod file_mode;
mod kernel;
mod map_cell;
mod maps;
mod native;
mod process;
mod pystack;
mod receive;
mod registers;
mod run_queue;
mod sample;
mod sched;
mod stack;
mod table;
mod task;
mod thread;
mod wait_reason;
mod wake;

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

//! Native parts of a stack: the kernel's, and the user's by frame pointers.

use core::ffi::c_void;

use aya_ebpf::{helpers::generated::bpf_get_stack, programs::PerfEventContext};
use profiler_common::{
    event::MAX_NATIVE_FRAMES,
    python::{PyTarget, fold},
};

/// Room for one column.
pub type NativeColumn = [u64; MAX_NATIVE_FRAMES];

/// Reads a stack into a column; returns its length. `flags` is `BPF_F_USER_STACK`, or 0 for the kernel's.
#[inline(always)]
pub fn stack(ctx: *mut c_void, column: &mut NativeColumn, flags: u64) -> u32 {
    // SAFETY: the context is the program's; the column is ours and its size is passed.
    let bytes =
        unsafe { bpf_get_stack(ctx, (&raw mut *column).cast(), size_of::<NativeColumn>() as u32, flags) };
    // An error means that there is no such stack: the tick hit user mode, or a kernel thread.
    if bytes < 0 { 0 } else { (bytes as u32) / 8 }
}

/// Address of the instruction that a tick interrupted.
#[inline(always)]
pub fn instruction(ctx: &PerfEventContext) -> u64 {
    // SAFETY: the kernel gives a perf event's program its registers.
    unsafe {
        #[cfg(bpf_target_arch = "x86_64")]
        let address = (*ctx.ctx).regs.rip;
        #[cfg(bpf_target_arch = "aarch64")]
        let address = (*ctx.ctx).regs.pc;
        address
    }
}

/// True for an address in the kernel's half.
#[inline(always)]
pub fn is_kernel(address: u64) -> bool {
    address >> 63 != 0
}

/// Cuts a Python thread's user stack at the interpreter, whose frames the Python walk finds; true if the interpreter was found.
///
/// Without frame pointers in the interpreter the chain below the leaf is noise, so only the leaf stays then.
#[inline(always)]
pub fn cut(column: &NativeColumn, len: &mut u32, python: &PyTarget) -> bool {
    for (index, &address) in column.iter().enumerate() {
        if index as u32 >= *len {
            break;
        }
        if python.is_interpreter(address) {
            *len = index as u32;
            return true;
        }
    }
    *len = (*len).min(1);
    false
}

/// Folds a column into a stack's hash.
#[inline(always)]
pub fn hash(hash: u64, column: &NativeColumn, len: u32) -> u64 {
    let hash = fold(hash, u64::from(len));
    if len == 0 { hash } else { fold_column(column, len, hash) }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fold_column(column: *const NativeColumn, len: u32, mut hash: u64) -> u64 {
    // SAFETY: the caller's; the verifier wants it compared.
    let Some(column) = (unsafe { column.as_ref() }) else { return hash };
    for (index, address) in column.iter().enumerate() {
        if index as u32 >= len {
            break;
        }
        hash = fold(hash, *address);
    }
    hash
}

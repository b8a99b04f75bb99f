//! Reads the registers with which a thread last entered the kernel.

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_task_pt_regs};

use crate::{
    kernel::{KERNEL, KernelField, KernelPtr},
    task::Task,
};

/// `struct pt_regs` (arch/*/include/asm/ptrace.h).
pub enum PtRegs {}

const SYSCALL: KernelField<PtRegs, u32> = KernelField::at(&KERNEL.regs_syscall);
const FIRST: KernelField<PtRegs, u64> = KernelField::at(&KERNEL.regs_first);
const SECOND: KernelField<PtRegs, u64> = KernelField::at(&KERNEL.regs_second);
const IP: KernelField<PtRegs, u64> = KernelField::at(&KERNEL.regs_ip);
const SP: KernelField<PtRegs, u64> = KernelField::at(&KERNEL.regs_sp);

/// How many general registers `pt_regs` begins with.
pub const GENERAL: usize = if cfg!(bpf_target_arch = "aarch64") { 31 } else { 15 };

impl Task {
    /// Registers of the task in user mode.
    #[inline(always)]
    pub fn registers(self) -> KernelPtr<PtRegs> {
        // SAFETY: the verifier knows the task.
        KernelPtr::new(unsafe { bpf_task_pt_regs(self.as_ptr().cast()) } as *const _)
    }
}

impl KernelPtr<PtRegs> {
    /// The system call, or [`NO_SYSCALL`](profiler_common::wait::NO_SYSCALL).
    pub fn syscall(self) -> u32 {
        self.read(SYSCALL)
    }

    /// The system call's first argument.
    pub fn first(self) -> u64 {
        self.read(FIRST)
    }

    /// The system call's second argument.
    pub fn second(self) -> u64 {
        self.read(SECOND)
    }

    /// Address of the user's instruction.
    pub fn instruction(self) -> u64 {
        self.read(IP)
    }

    pub fn stack_pointer(self) -> u64 {
        self.read(SP)
    }

    /// Copies the general registers.
    #[inline(always)]
    pub fn general(self, to: *mut [u64; GENERAL]) {
        // SAFETY: there is room; the helper checks the source.
        unsafe { bpf_probe_read_kernel(to.cast(), size_of::<[u64; GENERAL]>() as u32, self.as_ptr()) };
    }
}

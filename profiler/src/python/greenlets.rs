//! greenlet (2.0 and later): where its extension module keeps which greenlet a thread runs.
//!
//! Its only thread-local variables are a guard and, eight bytes on, a pointer to the thread's main greenlet and its current
//! one (`g_thread_state_global`). Which of the thread's modules it is, the dynamic linker wrote into its offset table.

use object::{Object, RelocationFlags, elf};
use profiler_common::python::{Greenlets, TlsPath};

use crate::{python::thread_vector, sys::memory::Memory};

/// Bytes of the two variables.
const BYTES: u64 = 16;
/// Where the pointer is among them.
const POINTER: i64 = 8;

/// The relocation by which the linker writes a module's number.
const MODULE_NUMBER: elf::RelocationType =
    if cfg!(target_arch = "aarch64") { elf::R_AARCH64_TLS_DTPMOD } else { elf::R_X86_64_DTPMOD64 };

/// Addresses in the file of the extension module, unloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFile {
    /// `PyGreenlet_Type`: it is exported.
    main_type: u64,
    /// Where the linker writes the module's number.
    module: u64,
}

impl InFile {
    /// Where a file has greenlet's variables, from its type of greenlets and the bytes of its thread-local variables; `None` if
    /// it is no known version.
    #[must_use]
    pub fn of<'data>(elf: &impl Object<'data>, main_type: u64, thread_local: Option<u64>) -> Option<Self> {
        let is_number = |flags| matches!(flags, RelocationFlags::Elf { r_type } if r_type == MODULE_NUMBER);
        let (module, _) = elf.dynamic_relocations()?.find(|(_, relocation)| is_number(relocation.flags()))?;
        (thread_local == Some(BYTES)).then_some(Self { main_type, module })
    }

    /// What the kernel side needs, in a process that has the file loaded with this bias.
    #[must_use]
    pub fn in_process(&self, memory: Memory, bias: u64) -> Option<Greenlets> {
        let module = memory.u64(self.module.wrapping_add(bias))?;
        let [vector, entry] = thread_vector::way_to_module(i64::try_from(module).ok()?)?;
        let state = TlsPath::new(&[vector, entry, POINTER]);
        Some(Greenlets { state, main_type: self.main_type.wrapping_add(bias) })
    }
}

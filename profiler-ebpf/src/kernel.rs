//! Reads structs of the kernel, through typed pointers, by the offsets that their fields have in the kernel that runs.
//!
//! Rust emits no CO-RE relocations. The offsets are rodata, which the loader fills in and freezes before the verifier sees the
//! programs: to it they are constants, and a read is one load that it checks against the kernel's BTF.

use core::{
    ffi::c_void,
    marker::PhantomData,
    mem::MaybeUninit,
    ptr::{self, read_volatile},
};

use aya_ebpf::{helpers::generated::bpf_probe_read_kernel, programs::BtfTracePointContext};
use bytemuck::{AnyBitPattern, Zeroable};
use profiler_common::config::KernelOffsets;

use crate::rodata;

/// Where the fields are; filled in by the loader.
#[unsafe(no_mangle)]
pub static KERNEL: KernelOffsets =
    // SAFETY: numbers, of which zero is one.
    unsafe { MaybeUninit::zeroed().assume_init() };

/// A field of the struct `S`, with values of type `V`.
pub struct KernelField<S, V> {
    offset: &'static u32,
    types: PhantomData<fn(S) -> V>,
}

impl<S, V> KernelField<S, V> {
    /// The field whose offset is this one of `KERNEL`.
    pub const fn at(offset: &'static u32) -> Self {
        Self { offset, types: PhantomData }
    }

    #[inline(always)]
    fn offset(self) -> u32 {
        rodata::read(self.offset)
    }
}

/// A pointer to a struct `S` of the kernel, which the verifier knows as such.
///
/// Reading by it is sound because the verifier refuses a load that is not within an `S`, and the kernel gives zeros should one
/// fault.
#[repr(transparent)]
pub struct KernelPtr<S>(*const S);

impl<S> KernelPtr<S> {
    /// A pointer that a helper or a context of the kernel gives.
    pub const fn new(pointer: *const c_void) -> Self {
        Self(pointer.cast())
    }

    /// An argument of a tracepoint, which has its type from the kernel's BTF.
    #[inline(always)]
    pub fn argument(ctx: &BtfTracePointContext, index: usize) -> Self {
        Self::new(ctx.arg(index))
    }

    /// The pointer as helpers want it.
    pub const fn as_ptr(self) -> *mut c_void {
        self.0.cast_mut().cast()
    }

    pub fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Reads a field by a load.
    #[inline(always)]
    pub fn read<V: AnyBitPattern>(self, field: KernelField<S, V>) -> V {
        // SAFETY: as the type says.
        unsafe { read_volatile(self.0.byte_add(field.offset() as usize).cast()) }
    }
}

/// An address in the kernel of which the verifier knows nothing: memory is read from it by a call.
#[repr(transparent)]
pub struct KernelAddress<T>(u64, PhantomData<*const T>);

impl<T> KernelAddress<T> {
    pub const fn new(address: u64) -> Self {
        Self(address, PhantomData)
    }

    /// Address of a field of a struct at this address.
    #[inline(always)]
    fn field<V>(self, field: KernelField<T, V>) -> KernelAddress<V> {
        KernelAddress::new(self.0.wrapping_add(u64::from(field.offset())))
    }

    /// Reads a field of the struct at this address; zero if it cannot be read.
    #[inline(always)]
    pub fn read<V: AnyBitPattern>(self, field: KernelField<T, V>) -> V {
        self.field(field).get()
    }
}

impl<T: AnyBitPattern> KernelAddress<T> {
    /// Address of an element of an array at this address.
    #[inline(always)]
    pub fn element(self, index: u32) -> Self {
        Self::new(self.0.wrapping_add(size_of::<T>() as u64 * u64::from(index)))
    }

    /// Reads the value at this address; zero if it cannot be read.
    #[inline(always)]
    pub fn get(self) -> T {
        let mut value = T::zeroed();
        // SAFETY: a value of ours; the helper checks the source, and fills with zeros what it cannot read.
        unsafe {
            bpf_probe_read_kernel(
                ptr::from_mut(&mut value).cast(),
                size_of::<T>() as u32,
                ptr::without_provenance(self.0 as usize),
            )
        };
        value
    }
}

impl<S> Clone for KernelPtr<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for KernelPtr<S> {}

// SAFETY: a null pointer, which is not followed.
unsafe impl<S> Zeroable for KernelPtr<S> {}
// SAFETY: loads from it are the verifier's to check.
unsafe impl<S: 'static> AnyBitPattern for KernelPtr<S> {}

impl<T> Clone for KernelAddress<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for KernelAddress<T> {}

// SAFETY: a number.
unsafe impl<T> Zeroable for KernelAddress<T> {}
// SAFETY: any number is one; what is there is the helper's to check.
unsafe impl<T: 'static> AnyBitPattern for KernelAddress<T> {}

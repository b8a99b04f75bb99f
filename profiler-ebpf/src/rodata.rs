//! Reads constants that the loader fills in and freezes before the verifier sees the programs.

use core::ptr::read_volatile;

use bytemuck::Pod;

/// The value of a constant, read where the compiler cannot fold the one that it sees.
#[inline(always)]
pub fn read<T: Pod>(constant: &'static T) -> T {
    // SAFETY: a reference.
    unsafe { read_volatile(constant) }
}

/// The entry at an index; `None` behind the table's end.
///
/// The entry is read before the index is compared. Older verifiers (6.1) lose the bound of a register that goes by way of the
/// stack, and the compiler may keep two copies of an index: one that is compared, one that is used. A mask on the one that
/// is used holds on all; behind a comparison the compiler would see that it does nothing.
#[inline(always)]
pub fn entry<T: Pod, const LEN: usize>(table: &'static [T; LEN], index: u32) -> Option<T> {
    const { assert!(LEN.is_power_of_two(), "a mask is its bound") };
    let index = index as usize;
    // SAFETY: the mask keeps it inside. Volatile, since the compiler sees a table of zeros.
    let value = unsafe { read_volatile(table.as_ptr().add(index & (LEN - 1))) };
    (index < LEN).then_some(value)
}

//! Values of maps that programs on other CPUs, and the loader, use at the same time.

use core::cell::UnsafeCell;

use aya_ebpf::maps::HashMap;
use bytemuck::Pod;

/// A value of a map, or a field of one, that others may read and write at the same time.
///
/// Sound because none of its methods makes a reference into it: words are copied in and out, by one volatile access each, so
/// that the compiler takes nothing for granted and none is torn. Who writes which, and what several of them say together, is for
/// the owners of the map to order.
#[repr(transparent)]
pub struct MapCell<T>(UnsafeCell<T>);

/// A field of a [`MapCell`], as one: `field!(waits.open.since)`.
macro_rules! field {
    ($value:ident . $($field:tt)+) => {
        // SAFETY: a part of what is there.
        unsafe { $crate::map_cell::MapCell::new(&raw mut (*$value.as_ptr()).$($field)+) }
    };
}

pub(crate) use field;

impl<T> MapCell<T> {
    /// A value of a map, or a part of one.
    ///
    /// # Safety
    /// The verifier knows the pointer as one to such a value.
    #[inline(always)]
    pub const unsafe fn new<'a>(pointer: *mut T) -> &'a Self {
        // SAFETY: the caller's; the kernel frees no value while a program runs that found it.
        unsafe { &*pointer.cast() }
    }

    /// The value of a key.
    #[inline(always)]
    pub fn find<'a, K>(map: &'a HashMap<K, T>, key: &K) -> Option<&'a Self> {
        // SAFETY: a value of the map.
        map.get_ptr_mut(key).map(|value| unsafe { Self::new(value) })
    }

    pub const fn as_ptr(&self) -> *mut T {
        self.0.get()
    }
}

impl<T: Word> MapCell<T> {
    #[inline(always)]
    pub fn get(&self) -> T {
        // SAFETY: as the type says; any bits are a word.
        unsafe { self.as_ptr().read_volatile() }
    }

    #[inline(always)]
    pub fn set(&self, value: T) {
        // SAFETY: as the type says.
        unsafe { self.as_ptr().write_volatile(value) }
    }

    /// Adds to a word that nobody else writes; wraps.
    #[inline(always)]
    pub fn add(&self, more: T) {
        self.set(self.get().plus(more));
    }
}

/// What a CPU reads or writes at once.
pub trait Word: Pod {
    fn plus(self, more: Self) -> Self;
}

impl Word for u32 {
    fn plus(self, more: Self) -> Self {
        self.wrapping_add(more)
    }
}

impl Word for u64 {
    fn plus(self, more: Self) -> Self {
        self.wrapping_add(more)
    }
}

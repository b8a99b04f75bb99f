//! The dynamic thread vector, in glibc: the way from a thread pointer to the thread-local variables of a module.

/// Modules with thread-local variables that are looked through.
pub const MAX_MODULES: i64 = 512;

/// Thread pointer → the vector.
const VECTOR: i64 = if cfg!(target_arch = "aarch64") { 0 } else { 8 };
/// Bytes of one of its entries: the module's block, and what was allocated for it.
const ENTRY: i64 = 16;

/// The steps from a thread pointer to a module's block; `None` for a number that no module has.
pub const fn way_to_module(module: i64) -> Option<[i64; 2]> {
    if module > 0 && module < MAX_MODULES { Some([VECTOR, ENTRY * module]) } else { None }
}

//! Names functions of the vDSO, from our own copy of it: it is the same in all processes.

use object::{Object as _, ObjectSymbol};
use procfs::process::Process;

use crate::{
    elf::BuildId,
    sys::{maps, memory::Memory, tids},
};

/// Name of the vDSO's mapping, as the kernel writes it.
pub const NAME: &str = "[vdso]";

/// Key of the vDSO's address in a process's auxiliary vector (`getauxval(3)`).
const AT_SYSINFO_EHDR: u64 = 33;

/// The symbols of the vDSO.
#[derive(Debug, Default)]
pub struct Vdso {
    /// Bytes that are mapped.
    len: u64,
    build_id: Option<BuildId>,
    /// Start, end and name.
    symbols: Vec<(u64, u64, String)>,
}

impl Vdso {
    /// Our own; without symbols if it cannot be read.
    #[must_use]
    pub fn own() -> Self {
        Self::read().unwrap_or_default()
    }

    fn read() -> Option<Self> {
        let mut place = None;
        let see = |line: &maps::MapsLine| {
            if line.path == NAME.as_bytes() {
                place = Some((line.start, line.end));
            }
        };
        maps::each(std::process::id(), see).ok()?;
        let (start, end) = place?;
        let bytes = Memory::of(std::process::id()).bytes(start, usize::try_from(end - start).ok()?)?;
        let elf = object::File::parse(bytes.as_slice()).ok()?;
        let symbols = elf.dynamic_symbols().filter(ObjectSymbol::is_definition).filter_map(|symbol| {
            Some((symbol.address(), symbol.address() + symbol.size(), symbol.name().ok()?.to_owned()))
        });
        Some(Self { len: end - start, build_id: BuildId::of(&elf), symbols: symbols.collect() })
    }

    /// Where in it an address of a process lies, given where the process has it.
    #[must_use]
    pub fn offset(&self, start: u64, address: u64) -> Option<u64> {
        Some(address.wrapping_sub(start)).filter(|offset| *offset < self.len)
    }

    /// Bytes of it that a process maps.
    #[must_use]
    pub const fn mapped_bytes(&self) -> u64 {
        self.len
    }

    /// Which build it is.
    #[must_use]
    pub const fn build_id(&self) -> Option<&BuildId> {
        self.build_id.as_ref()
    }

    /// The function at an offset, and the offset at which it begins.
    #[must_use]
    pub fn function(&self, offset: u64) -> Option<(&str, u64)> {
        let (start, _, name) =
            self.symbols.iter().find(|(start, end, _)| (*start..*end).contains(&offset))?;
        Some((name, *start))
    }
}

/// Where a process has the vDSO.
#[must_use]
pub fn start(tgid: u32) -> Option<u64> {
    Process::new(tids::seen_by(tgid).cast_signed()).ok()?.auxv().ok()?.get(&AT_SYSINFO_EHDR).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_read_in_it() {
        let vdso = Vdso::own();
        let start = start(std::process::id()).unwrap();
        // SAFETY: no arguments are changed; the name is a C string.
        #[expect(unsafe_code, reason = "the C library knows where the function is")]
        let clock = unsafe {
            libc::dlsym(
                libc::dlopen(c"linux-vdso.so.1".as_ptr(), libc::RTLD_NOLOAD | libc::RTLD_NOW),
                c"__vdso_clock_gettime".as_ptr(),
            )
        };
        let offset = vdso.offset(start, clock as u64).unwrap();
        let (name, begin) = vdso.function(offset + 1).unwrap();
        assert!(name.ends_with("clock_gettime") && begin == offset, "{name} at {begin}");
        assert_eq!(vdso.offset(start, start.wrapping_sub(1)), None);
    }
}

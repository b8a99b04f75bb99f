//! The functions that addresses are in, by a file's symbol tables.

use std::{
    collections::HashMap,
    fmt::{self, Write as _},
    fs::File,
};

use cpp_demangle::DemangleOptions;
use object::{
    Endianness, Object as _, ObjectSection as _, ObjectSymbol as _,
    elf::{FileHeader64, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE},
    read::elf::{ElfFile64, ElfSymbolIterator, Sym as _},
};

use crate::elf::Pieces;

/// Longest name that is made of a mangled one, bytes: such names can be small and stand for one without end.
const MAX_NAME: usize = 16 << 10;

/// The names of the functions that some addresses of a file are in, as their sources call them; those in none are absent.
#[must_use]
pub fn names(file: &File, addresses: &[u64]) -> HashMap<u64, String> {
    let pieces = Pieces::of(file);
    let Ok(elf) = ElfFile64::<Endianness, _>::parse(&pieces) else { return HashMap::new() };
    let mut sought: Vec<_> = addresses.to_vec();
    sought.sort_unstable();
    sought.dedup();
    let mut names = HashMap::new();
    // What is stripped of the one the other still has, for it is needed to link.
    for (symbols, table) in [(elf.symbols(), ".strtab"), (elf.dynamic_symbols(), ".dynstr")] {
        let found = innermost(&elf, symbols, &sought);
        let table = elf.section_by_name(table).and_then(|section| section.data().ok()).unwrap_or_default();
        for (address, symbol) in found {
            let name = table.get(symbol.name as usize..).unwrap_or_default();
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            if !name.is_empty() {
                names.insert(address, demangled(&String::from_utf8_lossy(&name[..name.len().min(MAX_NAME)])));
            }
        }
        sought.retain(|address| !names.contains_key(address));
    }
    names
}

/// The symbol of a function.
#[derive(Clone, Copy, Debug)]
struct Function {
    start: u64,
    is_global: bool,
    /// Where its name is in the table of names.
    name: u32,
}

/// For each address the function that begins last before it and ends behind it. One without a size, a mere label, is only
/// where it stands.
fn innermost<'data>(
    elf: &ElfFile64<'data, Endianness, &'data Pieces<'_>>,
    symbols: ElfSymbolIterator<'data, '_, FileHeader64<Endianness>, &'data Pieces<'_>>,
    sought: &[u64],
) -> HashMap<u64, Function> {
    let mut found: HashMap<u64, Function> = HashMap::new();
    for symbol in symbols {
        let kind = symbol.elf_symbol().st_type();
        if symbol.is_undefined() || ![STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE].contains(&kind) {
            continue;
        }
        let start = symbol.address();
        let function = Function {
            start,
            is_global: symbol.is_global(),
            name: symbol.elf_symbol().st_name(elf.endian()),
        };
        let first = sought.partition_point(|address| *address < start);
        let end = start.saturating_add(symbol.size().max(1));
        for address in sought[first..].iter().take_while(|address| **address < end) {
            let is_better =
                |known: &Function| (function.start, function.is_global) > (known.start, known.is_global);
            if found.get(address).is_none_or(is_better) {
                found.insert(*address, function);
            }
        }
    }
    found
}

/// A name as Rust's or C++'s source has it; any other, or one that would be too long, as it is.
fn demangled(name: &str) -> String {
    let mut source = Bounded(String::new());
    let written = if let Ok(rust) = rustc_demangle::try_demangle(name) {
        write!(source, "{rust:#}")
    } else if let Ok(cpp) = cpp_demangle::Symbol::new(name) {
        cpp.structured_demangle(&mut source, &DemangleOptions::default())
    } else {
        Err(fmt::Error)
    };
    if written.is_ok() { source.0 } else { name.to_owned() }
}

/// A text of at most [`MAX_NAME`] bytes.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_NAME {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    #[test]
    fn names_are_those_that_nm_tells() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(
            path("a.cc"),
            "namespace shop { __attribute__((noinline)) int price(int x) { return x * 7; } }\n\
             static __attribute__((noinline)) int hidden(int x) { return shop::price(x) + 1; }\n\
             extern \"C\" int shown(int x) { return hidden(x); }\n",
        )
        .unwrap();
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).current_dir(folder.path()).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        run("c++", &["-O1", "-shared", "-fPIC", "-o", "a.so", "a.cc"]);
        let nm = run("nm", &["-C", "-S", "--defined-only", "a.so"]);
        let functions: Vec<_> = nm
            .lines()
            .filter_map(|line| {
                let mut words = line.splitn(4, ' ');
                let mut number = || u64::from_str_radix(words.next()?, 16).ok();
                let (start, bytes) = (number()?, number()?);
                words.next().filter(|kind| "tT".contains(*kind))?;
                Some((start, bytes, words.next()?.to_owned()))
            })
            .collect();
        assert_eq!(functions.len(), 3, "{nm}");
        let inside: Vec<_> = functions.iter().map(|(start, bytes, _)| start + bytes - 1).collect();
        let names = names(&fs::File::open(path("a.so")).unwrap(), &inside);
        for ((start, bytes, name), address) in functions.iter().zip(inside) {
            // The compiler may write a number behind a local function's name.
            let found = names.get(&address).map_or("", |name| name.split(" [").next().unwrap_or_default());
            assert!(
                found.starts_with(name.split(" [").next().unwrap()),
                "{start:x}+{bytes}: {name}, {found}"
            );
        }
        assert!(self::names(&fs::File::open(path("a.so")).unwrap(), &[3]).is_empty());
    }

    #[test]
    fn names_without_end_stay_mangled() {
        assert_eq!(demangled("_ZN4shop5priceEi"), "shop::price(int)");
        assert_eq!(demangled("_RNvC6_123foo3bar"), "123foo::bar");
        assert_eq!(demangled("deflate"), "deflate");
        // `f(A<int, int>, A<A<int, int>, A<int, int>>, …)`: each argument is twice as long as the one before.
        let doubled = |name, n| format!("{name}S_IS{n}_S{n}_E");
        let endless = ('0'..='9').chain('A'..='Z').fold(String::from("_Z1f1AIiiE"), doubled);
        assert!(cpp_demangle::Symbol::new(&endless).is_ok());
        assert_eq!(demangled(&endless), endless);
    }
}

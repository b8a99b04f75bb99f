//! Finds the function of an address in a file's symbol tables.

use std::{
    cmp::Reverse,
    collections::HashMap,
    fmt::{self, Write as _},
    fs::File,
    ops::Range,
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

/// A function of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name, as its source has it.
    pub name: String,
    /// Address at which it begins.
    pub start: u64,
}

/// The functions that some addresses of a file are in; addresses in none are absent.
#[must_use]
pub fn around(file: &File, addresses: &[u64]) -> HashMap<u64, Function> {
    let pieces = Pieces::of(file);
    let Ok(elf) = ElfFile64::<Endianness, _>::parse(&pieces) else { return HashMap::new() };
    let mut sought: Vec<_> = addresses.to_vec();
    sought.sort_unstable();
    sought.dedup();
    let mut functions = HashMap::new();
    // What is stripped of the one the other still has, for it is needed to link.
    for (symbols, table) in [(elf.symbols(), ".strtab"), (elf.dynamic_symbols(), ".dynstr")] {
        let found = innermost(&elf, symbols, &sought);
        let table = elf.section_by_name(table).and_then(|section| section.data().ok()).unwrap_or_default();
        for (address, symbol) in found {
            let name = table.get(symbol.name as usize..).unwrap_or_default();
            let name = &name[..name.len().min(MAX_NAME)];
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            if !name.is_empty() {
                let name = demangled(&String::from_utf8_lossy(name));
                functions.insert(address, Function { name, start: symbol.start });
            }
        }
        sought.retain(|address| !functions.contains_key(address));
    }
    functions
}

/// The symbol of a function. Of two around an address the greater one is it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FunctionSymbol {
    start: u64,
    is_global: bool,
    /// Its place in the table: of equals the first one counts.
    index: Reverse<usize>,
    /// Offset of the name in the string table.
    name: u32,
}

/// The greatest of the functions that were offered for each of some places. A node of the tree has what was offered for all
/// places below it, so that a million functions around all places take no longer than as many small ones.
struct Greatest {
    nodes: Vec<Option<FunctionSymbol>>,
    places: usize,
}

impl Greatest {
    fn of(places: usize) -> Self {
        Self { nodes: vec![None; 2 * places], places }
    }

    fn offer(&mut self, function: FunctionSymbol, places: Range<usize>) {
        let (mut first, mut behind) = (places.start + self.places, places.end + self.places);
        while first < behind {
            if first % 2 == 1 {
                self.nodes[first] = self.nodes[first].max(Some(function));
                first += 1;
            }
            if behind % 2 == 1 {
                behind -= 1;
                self.nodes[behind] = self.nodes[behind].max(Some(function));
            }
            (first, behind) = (first / 2, behind / 2);
        }
    }

    fn at(&self, place: usize) -> Option<FunctionSymbol> {
        let up = std::iter::successors(Some(place + self.places), |node| Some(node / 2));
        up.take_while(|node| *node != 0).filter_map(|node| self.nodes[node]).max()
    }
}

/// For each address the function that begins last before it and ends behind it. One without a size, a mere label, is only
/// where it stands.
fn innermost<'data>(
    elf: &ElfFile64<'data, Endianness, &'data Pieces<'_>>,
    symbols: ElfSymbolIterator<'data, '_, FileHeader64<Endianness>, &'data Pieces<'_>>,
    sought: &[u64],
) -> HashMap<u64, FunctionSymbol> {
    let mut found = Greatest::of(sought.len());
    for (index, symbol) in symbols.enumerate() {
        let kind = symbol.elf_symbol().st_type();
        if symbol.is_undefined() || ![STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE].contains(&kind) {
            continue;
        }
        let start = symbol.address();
        let function = FunctionSymbol {
            start,
            is_global: symbol.is_global(),
            index: Reverse(index),
            name: symbol.elf_symbol().st_name(elf.endian()),
        };
        let end = start.saturating_add(symbol.size().max(1));
        let [first, behind] = [start, end].map(|edge| sought.partition_point(|address| *address < edge));
        found.offer(function, first..behind);
    }
    sought.iter().enumerate().filter_map(|(place, address)| Some((*address, found.at(place)?))).collect()
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
        let found = around(&fs::File::open(path("a.so")).unwrap(), &inside);
        for ((start, bytes, name), address) in functions.iter().zip(inside) {
            // The compiler may write a number behind a local function's name.
            let function = &found[&address];
            assert_eq!(function.start, *start, "{name}");
            let found = function.name.split(" [").next().unwrap_or_default();
            assert!(
                found.starts_with(name.split(" [").next().unwrap()),
                "{start:x}+{bytes}: {name}, {found}"
            );
        }
        assert!(around(&fs::File::open(path("a.so")).unwrap(), &[3]).is_empty());
    }

    #[test]
    fn each_place_has_the_greatest_that_was_offered_for_it() {
        let function = |index: usize| FunctionSymbol {
            start: (index * 7 % 5) as u64,
            is_global: index.is_multiple_of(2),
            index: Reverse(index),
            name: 0,
        };
        for places in [0, 1, 2, 5, 8, 13] {
            let offers: Vec<_> = (0..40)
                .map(|index| (function(index), index * 3 % (places + 1)..(index * 11 + 1) % (places + 1)))
                .collect();
            let mut greatest = Greatest::of(places);
            for (function, range) in &offers {
                greatest.offer(*function, range.clone());
            }
            for place in 0..places {
                let offered = offers.iter().filter(|(_, range)| range.contains(&place));
                assert_eq!(greatest.at(place), offered.map(|(function, _)| *function).max());
            }
        }
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

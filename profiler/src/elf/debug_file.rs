//! The symbols that were stripped from a file: where distributions install them, by its build-id.

use std::{fs::File, path::Path};

use crate::elf::BuildId;

/// Where they are installed. Never where the file itself says: its makers are strangers.
const FOLDER: &str = "/usr/lib/debug/.build-id";

/// A file of symbols. Its addresses are the original's, its offsets are not.
#[derive(Debug)]
pub struct DebugFile {
    file: File,
}

impl DebugFile {
    /// The installed symbols of a file; `None` if there are none.
    #[must_use]
    pub fn of(original: &File) -> Option<Self> {
        Self::below(Path::new(FOLDER), original)
    }

    fn below(folder: &Path, original: &File) -> Option<Self> {
        let id = BuildId::of_file(original)?;
        let (first, rest) = id.digits().split_at(2);
        let file = File::open(folder.join(format!("{first}/{rest}.debug"))).ok()?;
        let is_of_it = BuildId::of_file(&file)? == id;
        is_of_it.then_some(Self { file })
    }

    /// The file that has the symbols.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.file
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;
    use crate::elf::functions;

    /// Checks a library that the test builds and strips.
    #[test]
    fn a_stripped_file_has_the_symbols_that_are_installed_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("lib.c"), "static __attribute__((noinline)) int hidden(int x) { return x * 7; }\nint shown(int x) { return hidden(x); }\n").unwrap();
        let run = |program: &str, arguments: &[&str]| {
            assert!(
                Command::new(program).args(arguments).current_dir(folder.path()).status().unwrap().success()
            );
        };
        let id = "0123456789abcdef0123456789abcdef01234567";
        run("gcc", &["-O1", "-shared", "-fPIC", "-o", "lib.so", &format!("-Wl,--build-id=0x{id}"), "lib.c"]);
        fs::create_dir(path("01")).unwrap();
        let debug = format!("01/{}.debug", &id[2..]);
        run("objcopy", &["--only-keep-debug", "lib.so", &debug]);
        let whole = fs::read(path("lib.so")).unwrap();
        let whole = object::File::parse(whole.as_slice()).unwrap();
        let hidden = object::Object::symbol_by_name(&whole, "hidden").expect("it is not inlined");
        let address = object::ObjectSymbol::address(&hidden);
        run("strip", &["lib.so"]);
        let stripped = File::open(path("lib.so")).unwrap();
        let found = DebugFile::below(folder.path(), &stripped).expect("it is installed");
        let function = functions::around(found.file(), &[address]).remove(&address).expect("it has symbols");
        assert_eq!((function.name.as_str(), function.start), ("hidden", address));
        // Another file's symbols at this place are not believed.
        run("gcc", &["-O1", "-shared", "-fPIC", "-o", &debug, "-Wl,--build-id=0xabcd", "lib.c"]);
        assert!(DebugFile::below(folder.path(), &stripped).is_none());
    }
}

//! Where a frame's code is: a Python function's first line; build, offset and mapping of native code.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use profiler_tests::{
    interpreters::{Interpreter, supported},
    record::Record,
    recording::Mapping,
    truth::Truth,
    workload::Workload,
};

/// Each frame has the first line that its function's `__code__` has.
#[test]
fn first_lines_are_those_of_the_code_objects() {
    let start = |interpreter: Interpreter| {
        let mut workload = interpreter.start("generator.py", &[]);
        let truth = Truth::told_by(&mut workload);
        (workload, truth, interpreter)
    };
    let targets: Vec<_> = supported().into_iter().map(start).collect();
    let tgids: Vec<_> = targets.iter().map(|(workload, ..)| workload.tgid()).collect();
    let recorded = Record::start(&tgids, &["-r", "999"]).end_after(&tgids, 300);
    for (workload, truth, interpreter) in &targets {
        let samples = recorded.recording.samples_of(workload.tgid());
        let mut longest = 0;
        for sample in &samples {
            let frames = sample.of_kind("python");
            let first_lines: Vec<_> = frames.iter().map(|frame| frame.first_line).collect();
            assert_eq!(first_lines, truth.first_lines()[..frames.len()], "{interpreter:?}: {sample:#?}");
            longest = longest.max(frames.len());
        }
        assert_eq!(longest, truth.depth(), "{interpreter:?}");
    }
}

/// Native frames are where `nm` and `readelf` see their functions, and their processes have mapped that.
#[test]
fn native_frames_are_where_their_files_have_them() {
    let start = |interpreter: Interpreter| (interpreter.start("natives.py", &[]), interpreter);
    let targets: Vec<_> = supported().into_iter().map(start).collect();
    let tgids: Vec<_> = targets.iter().map(|(workload, _)| workload.tgid()).collect();
    let recorded = Record::start(&tgids, &["-n", "-r", "999"]).end_after(&tgids, 500);
    let mut known = HashMap::new();
    for (workload, interpreter) in &targets {
        let mappings = recorded.recording.mappings_of(workload.tgid());
        assert_mapped(workload, &mappings);
        let samples = recorded.recording.samples_of(workload.tgid());
        let frames = samples.iter().flat_map(|sample| sample.of_kind("native"));
        let (mut with_symbol, mut with_build_id) = (HashSet::new(), HashSet::new());
        for frame in frames.filter(|frame| frame.file.starts_with('/')) {
            let place = frame.place.as_ref().expect("it is in a file");
            assert_eq!(place.file, frame.file);
            let is_there = |mapping: &&Mapping| {
                let bytes = mapping.end - mapping.start;
                mapping.file == place.file && (mapping.offset..mapping.offset + bytes).contains(&place.offset)
            };
            let mapping =
                mappings.iter().find(is_there).unwrap_or_else(|| panic!("{frame:?}: {mappings:#?}"));
            let elf = known.entry((place.file.clone(), place.build_id.clone())).or_insert_with(|| {
                let range = format!("{:x}-{:x}", mapping.start, mapping.end);
                Elf::read(&PathBuf::from(format!("/proc/{}/map_files/{range}", workload.tgid())))
            });
            assert_eq!(place.build_id, elf.build_id, "{frame:?}");
            with_build_id.extend(elf.build_id.is_some().then(|| place.file.clone()));
            let address = elf.address_of_code(place.offset).unwrap_or_else(|| panic!("no code: {frame:?}"));
            if frame.name != "[no symbol]" {
                let symbol = (address, unversioned(&frame.name).to_owned());
                assert!(elf.symbols.contains(&symbol), "{frame:?} at {address:x}");
                with_symbol.insert(symbol.1);
            }
        }
        assert!(with_symbol.len() > 3, "{with_symbol:?} of {interpreter:?}");
        assert!(!with_build_id.is_empty(), "{interpreter:?}");
    }
}

/// Asserts that the kernel has the same mappings.
fn assert_mapped(workload: &Workload, mappings: &[Mapping]) {
    let maps = fs::read_to_string(format!("/proc/{}/maps", workload.tgid())).expect("it runs");
    for Mapping { file, start, end, offset } in mappings {
        let is_it = |line: &str| {
            let has_offset = line.split_whitespace().nth(2) == Some(format!("{offset:08x}").as_str());
            line.starts_with(&format!("{start:08x}-{end:08x} "))
                && has_offset
                && line.ends_with(file.as_str())
        };
        assert!(maps.lines().any(is_it), "{start:08x}-{end:08x} {offset:08x} {file} is not in\n{maps}");
    }
}

/// What binutils say of a file.
#[derive(Debug)]
struct Elf {
    build_id: Option<String>,
    /// Code that is loaded: offset, address and bytes.
    code: Vec<(u64, u64, u64)>,
    /// Address and name.
    symbols: HashSet<(u64, String)>,
}

impl Elf {
    fn read(path: &Path) -> Self {
        let notes = said(Command::new("readelf").args(["-n", "-W"]).arg(path));
        let build_id = notes.lines().find_map(|line| Some(line.split_once("Build ID: ")?.1.to_owned()));
        let code = said(Command::new("readelf").args(["-l", "-W"]).arg(path));
        let code = code.lines().filter_map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let ["LOAD", offset, address, _, bytes, _, "R", "E", _] = words[..] else { return None };
            let number = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16).expect("hex");
            Some((number(offset), number(address), number(bytes)))
        });
        // What was stripped of a file may be installed.
        let stripped = build_id
            .as_ref()
            .map(|id| PathBuf::from(format!("/usr/lib/debug/.build-id/{}/{}.debug", &id[..2], &id[2..])));
        let mut symbols = HashSet::new();
        for file in [path.to_owned()].into_iter().chain(stripped).filter(|file| file.exists()) {
            for table in ["--format=bsd", "-D"] {
                symbols.extend(said(Command::new("nm").arg(table).arg(&file)).lines().filter_map(|line| {
                    let (address, symbol) = line.split_once(' ')?;
                    let name = unversioned(symbol.get(2..)?);
                    Some((u64::from_str_radix(address, 16).ok()?, name.to_owned()))
                }));
            }
        }
        Self { build_id, code: code.collect(), symbols }
    }

    fn address_of_code(&self, place: u64) -> Option<u64> {
        let (offset, address, _) =
            self.code.iter().find(|(offset, _, bytes)| (*offset..offset + bytes).contains(&place))?;
        Some(place - offset + address)
    }
}

/// A symbol's name without the version of its library's interface.
fn unversioned(name: &str) -> &str {
    name.split('@').next().unwrap_or(name)
}

/// What a command writes.
fn said(command: &mut Command) -> String {
    let output = command.output().expect("binutils are installed: cargo xtask setup");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

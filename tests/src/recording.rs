//! A recording as its file tells it, read here without the code that wrote it.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use serde_json::Value;

/// The first line of the format that the tests know.
pub const FIRST_LINE: &str = "punchclock recording v2\n";

/// A `.punch` file.
#[derive(Debug)]
pub struct Recording {
    document: Value,
}

/// One line of a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// `python`, `native`, `kernel` or `mark`.
    pub kind: String,
    /// Name of the function.
    pub name: String,
    /// File of its source or its module; empty if not known.
    pub file: String,
    /// 0 if not known.
    pub line: u64,
    /// The function's; 0 if not known.
    pub first_line: u64,
    /// Where its code is; absent if that is in no file.
    pub place: Option<Place>,
}

/// A place in a file of native code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path.
    pub file: String,
    /// Which build of it.
    pub build_id: Option<String>,
    /// Offset in it.
    pub offset: u64,
}

/// A part of a file of native code that a process has mapped.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The path.
    pub file: String,
    /// First address.
    pub start: u64,
    /// Address behind the last one.
    pub end: u64,
    /// Offset in the file.
    pub offset: u64,
}

/// One distinct stack of a thread.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The process.
    pub tgid: u32,
    /// The thread.
    pub tid: u32,
    /// Times seen.
    pub count: u64,
    /// The outermost frame first.
    pub frames: Vec<Frame>,
}

/// One distinct stack on which a thread was blocked.
#[derive(Clone, Debug)]
pub struct Wait {
    /// What for.
    pub reason: String,
    /// The outermost frame first.
    pub frames: Vec<Frame>,
}

impl Sample {
    /// Its frames of one kind.
    #[must_use]
    pub fn of_kind(&self, kind: &str) -> Vec<&Frame> {
        self.frames.iter().filter(|frame| frame.kind == kind).collect()
    }

    /// The names of its Python functions.
    #[must_use]
    pub fn functions(&self) -> Vec<&str> {
        self.of_kind("python").into_iter().map(|frame| frame.name.as_str()).collect()
    }
}

impl Recording {
    /// Reads a file.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut file = BufReader::new(file);
        let mut line = String::new();
        file.read_line(&mut line).expect("the first line is text");
        assert_eq!(line, FIRST_LINE);
        let mut json = String::new();
        flate2::bufread::GzDecoder::new(file).read_to_string(&mut json).expect("it unpacks");
        Self { document: serde_json::from_str(&json).expect("its body is JSON") }
    }

    /// The exact numbers.
    #[must_use]
    pub fn stat(&self) -> &Value {
        &self.document["stat"]
    }

    /// The rows of its waits.
    #[must_use]
    pub fn blocked(&self) -> &[Value] {
        self.document["profile"]["blocked"].as_array().expect("waits")
    }

    /// The rows of what was preempted.
    #[must_use]
    pub fn preempted(&self) -> &[Value] {
        self.document["profile"]["preempted"].as_array().expect("waits")
    }

    /// Its seconds.
    #[must_use]
    pub fn windows(&self) -> &[Value] {
        self.document["windows"].as_array().expect("windows")
    }

    /// What was lost, by cause.
    #[must_use]
    pub fn lost(&self, cause: &str) -> u64 {
        self.stat()["quality"]["lost"][cause].as_u64().unwrap_or(0)
    }

    /// A count of how the samples fared.
    #[must_use]
    pub fn counted(&self, name: &str) -> u64 {
        self.stat()["quality"]["samples"][name].as_u64().expect("the quality of the samples")
    }

    /// The sentences about processes that could not be seen fully.
    #[must_use]
    pub fn notes(&self) -> Vec<&str> {
        let notes = self.stat()["quality"]["notes"].as_array().expect("notes");
        notes.iter().filter_map(Value::as_str).collect()
    }

    /// The samples of one process.
    #[must_use]
    pub fn samples_of(&self, tgid: u32) -> Vec<Sample> {
        self.samples().into_iter().filter(|sample| sample.tgid == tgid).collect()
    }

    /// All samples.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        let samples = self.document["profile"]["samples"].as_array().expect("samples").iter();
        samples
            .map(|sample| Sample {
                tgid: number(&sample["tgid"]),
                tid: number(&sample["tid"]),
                count: sample["count"].as_u64().expect("a count"),
                frames: self.stack(&sample["stack"]),
            })
            .collect()
    }

    /// The PIDs of all workers.
    #[must_use]
    pub fn workers(&self) -> Vec<u32> {
        let fleets = self.stat()["fleets"].as_array().expect("fleets").iter();
        let rows = fleets.flat_map(|fleet| fleet["workers"].as_array().expect("workers"));
        rows.filter(|row| row["role"] == "worker").map(|row| number(&row["tgid"])).collect()
    }

    /// The names of a process's threads, by TID.
    #[must_use]
    pub fn thread_names(&self, tgid: u32) -> HashMap<u32, String> {
        let fleets = self.stat()["fleets"].as_array().expect("fleets").iter();
        let workers = fleets.flat_map(|fleet| fleet["workers"].as_array().expect("workers"));
        let threads = workers
            .filter(|worker| worker["tgid"] == tgid)
            .flat_map(|worker| worker["threads"].as_array().expect("threads"));
        let name =
            |thread: &Value| (number(&thread["tid"]), thread["name"].as_str().expect("a name").to_owned());
        threads.map(name).collect()
    }

    /// What one thread was blocked on.
    #[must_use]
    pub fn blocked_of(&self, tgid: u32, tid: u32) -> Vec<Wait> {
        self.blocked()
            .iter()
            .filter(|wait| wait["tgid"] == tgid && wait["tid"] == tid)
            .map(|wait| Wait {
                reason: wait["reason"].as_str().expect("a reason").to_owned(),
                frames: self.stack(&wait["stack"]),
            })
            .collect()
    }

    /// Where a process has mapped the native code of its frames.
    #[must_use]
    pub fn mappings_of(&self, tgid: u32) -> Vec<Mapping> {
        let profile = &self.document["profile"];
        let mappings = profile["mappings"].as_array().expect("mappings").iter();
        let address = |value: &Value| value.as_u64().expect("a number");
        mappings
            .filter(|mapping| mapping["tgid"] == tgid)
            .map(|mapping| Mapping {
                file: self.string(&row(&profile["binaries"], &mapping["binary"]).expect("a file")["path"]),
                start: address(&mapping["start"]),
                end: address(&mapping["end"]),
                offset: address(&mapping["offset"]),
            })
            .collect()
    }

    fn string(&self, index: &Value) -> String {
        let string = row(&self.document["profile"]["strings"], index);
        string.and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn place(&self, place: &Value) -> Option<Place> {
        let binary = row(&self.document["profile"]["binaries"], place.get("binary")?).expect("a file");
        Some(Place {
            file: self.string(&binary["path"]),
            build_id: binary["build_id"].as_str().map(str::to_owned),
            offset: place["offset"].as_u64().expect("an offset"),
        })
    }

    fn stack(&self, leaf: &Value) -> Vec<Frame> {
        let profile = &self.document["profile"];
        let mut frames = Vec::new();
        let mut next = row(&profile["stacks"], leaf);
        while let Some(stack) = next {
            let frame = row(&profile["frames"], &stack["frame"]).expect("a frame");
            frames.insert(
                0,
                Frame {
                    kind: frame["kind"].as_str().expect("a kind").to_owned(),
                    name: self.string(&frame["name"]),
                    file: self.string(&frame["file"]),
                    line: frame["line"].as_u64().expect("a line"),
                    first_line: frame["first_line"].as_u64().unwrap_or(0),
                    place: self.place(&frame["place"]),
                },
            );
            next = row(&profile["stacks"], &stack["caller"]);
        }
        frames
    }
}

/// How many samples there are in all.
#[must_use]
pub fn total(samples: &[Sample]) -> u64 {
    samples.iter().map(|sample| sample.count).sum()
}

fn row<'a>(table: &'a Value, index: &Value) -> Option<&'a Value> {
    table.get(usize::try_from(index.as_u64()?).ok()?)
}

fn number(value: &Value) -> u32 {
    value.as_u64().and_then(|number| number.try_into().ok()).expect("a small number")
}

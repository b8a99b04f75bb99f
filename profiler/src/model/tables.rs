//! Interned tables: each distinct string, frame and stack is stored once and named by an index.
//!
//! A stack is a chain: its leaf frame and the stack of its caller. An id is only good for the table that gave it, and its type
//! says for which kind of table.

use std::{
    cmp::Ordering,
    collections::HashMap,
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
};

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::elf::BuildId;

/// Most rows of a table that is read: a row takes many times the memory that its text has.
pub const MAX_ROWS: usize = 1 << 21;

/// The place of a row in a table of `T`, from 0. In JSON it is the number.
#[derive(Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub struct Id<T> {
    index: u32,
    #[serde(skip)]
    table: PhantomData<fn() -> T>,
}

/// The id of a name or a path.
pub type StringId = Id<String>;
/// The id of a line of stacks.
pub type FrameId = Id<Frame>;
/// The id of a file of native code.
pub type BinaryId = Id<Binary>;
/// The id of a chain of frames.
pub type StackId = Id<Stack>;

impl<T> Id<T> {
    /// The id of the row at an index.
    #[must_use]
    pub const fn new(index: u32) -> Self {
        Self { index, table: PhantomData }
    }

    /// The index of the row.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

// Not derived, for that would ask the same of `T`.
impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}

impl<T> Eq for Id<T> {}

impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.index.hash(state);
    }
}

impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.index.cmp(&other.index)
    }
}

impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.index.fmt(f)
    }
}

/// An append-only table of distinct values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "Vec<T>", bound(serialize = "T: Clone + Serialize"))]
pub struct InternTable<T: Clone + Eq + Hash> {
    rows: Vec<T>,
    ids: HashMap<T, Id<T>>,
}

impl<T: Clone + Eq + Hash> InternTable<T> {
    /// The id of a value, which is added if it is new.
    pub fn intern(&mut self, value: T) -> Id<T> {
        if let Some(&id) = self.ids.get(&value) {
            return id;
        }
        let id = Id::new(self.rows.len() as u32);
        self.rows.push(value.clone());
        self.ids.insert(value, id);
        id
    }

    /// The value with an id of this table.
    #[must_use]
    pub fn get(&self, id: Id<T>) -> Option<&T> {
        self.rows.get(id.index())
    }

    /// All values, in the order of their indexes.
    #[must_use]
    pub fn rows(&self) -> &[T] {
        &self.rows
    }
}

impl<T: Clone + Eq + Hash> Default for InternTable<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), ids: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> From<Vec<T>> for InternTable<T> {
    fn from(rows: Vec<T>) -> Self {
        let ids = rows.iter().cloned().zip((0..).map(Id::new)).collect();
        Self { rows, ids }
    }
}

impl<'de, T: Clone + Eq + Hash + Deserialize<'de>> Deserialize<'de> for InternTable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Rows(PhantomData))
    }
}

/// Reads rows one by one, so that too many are refused before they take memory.
struct Rows<T>(PhantomData<T>);

impl<'de, T: Clone + Eq + Hash + Deserialize<'de>> de::Visitor<'de> for Rows<T> {
    type Value = InternTable<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a table's rows")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut rows = Vec::new();
        while let Some(row) = seq.next_element()? {
            if rows.len() == MAX_ROWS {
                return Err(de::Error::custom("a table has too many rows"));
            }
            rows.push(row);
        }
        Ok(rows.into())
    }
}

impl<T: Clone + Eq + Hash> From<InternTable<T>> for Vec<T> {
    fn from(table: InternTable<T>) -> Self {
        table.rows
    }
}

/// What a frame is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FrameKind {
    /// A Python function.
    Python,
    /// Native code in user mode.
    Native,
    /// The kernel.
    Kernel,
    /// A mark of ours: where frames are missing, and why.
    Mark,
}

/// One line of a stack.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frame {
    /// What it is of.
    pub kind: FrameKind,
    /// Function's name: Python's qualified name from 3.11 on.
    pub name: StringId,
    /// Source file (Python) or module (native); absent if not known.
    pub file: Option<StringId>,
    /// Line that was executing, from 1; 0 if not known.
    pub line: u32,
    /// First line of the function (Python), from 1; 0 if not known.
    #[serde(default, skip_serializing_if = "is_unknown")]
    pub first_line: u32,
    /// Where in its file the function begins (native); of code without a symbol the very place. Absent if it is in no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

impl Frame {
    /// A frame of which no more is known than its name.
    #[must_use]
    pub const fn named(kind: FrameKind, name: StringId) -> Self {
        Self { kind, name, file: None, line: 0, first_line: 0, place: None }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_unknown(line: &u32) -> bool {
    *line == 0
}

/// A file of native code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Binary {
    /// Path of the file, as its processes see it.
    pub path: StringId,
    /// Which build of it; absent if it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<BuildId>,
}

/// A place in a file of native code: by offset, which is the same in every process and every recording, so that their stacks stay
/// one wherever each has its libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The file.
    pub binary: BinaryId,
    /// Offset in it, bytes.
    pub offset: u64,
}

/// A part of a file of native code that a process has mapped: an offset in the file is at the address
/// `offset - self.offset + self.start` of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MappedBinary {
    /// The process.
    pub tgid: u32,
    /// The file.
    pub binary: BinaryId,
    /// First address.
    pub start: u64,
    /// Address behind the last one.
    pub end: u64,
    /// Offset in the file of the first address, bytes.
    pub offset: u64,
}

/// A stack: its leaf and the rest.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stack {
    /// Leaf frame.
    pub frame: FrameId,
    /// Caller's stack; absent at the root.
    pub caller: Option<StackId>,
}

//! Interned tables: each distinct string, frame and stack is stored once and named by an index.
//!
//! A stack is a chain: its leaf frame and the stack of its caller. An index is only good for the table that
//! gave it.

use std::{collections::HashMap, fmt, hash::Hash, marker::PhantomData};

use serde::{Deserialize, Deserializer, Serialize, de};

/// Most rows of a table that is read: a row takes many times the memory that its text has.
pub const MAX_ROWS: usize = 1 << 21;

/// An append-only table of distinct values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "Vec<T>", bound(serialize = "T: Clone + Serialize"))]
pub struct InternTable<T: Clone + Eq + Hash> {
    rows: Vec<T>,
    index: HashMap<T, u32>,
}

impl<T: Clone + Eq + Hash> InternTable<T> {
    /// The index of a value, which is added if it is new.
    pub fn intern(&mut self, value: T) -> u32 {
        if let Some(&index) = self.index.get(&value) {
            return index;
        }
        let index = self.rows.len() as u32;
        self.rows.push(value.clone());
        self.index.insert(value, index);
        index
    }

    /// The value at an index of this table.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<&T> {
        self.rows.get(index as usize)
    }

    /// All values, in the order of their indexes.
    #[must_use]
    pub fn rows(&self) -> &[T] {
        &self.rows
    }
}

impl<T: Clone + Eq + Hash> Default for InternTable<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), index: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> From<Vec<T>> for InternTable<T> {
    fn from(rows: Vec<T>) -> Self {
        let index = rows.iter().cloned().zip(0..).collect();
        Self { rows, index }
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
    /// Index of the function's name: Python's qualified name from 3.11 on.
    pub name: u32,
    /// Index of the source file (Python) or the module (native); absent if not known.
    pub file: Option<u32>,
    /// Line that was executing, from 1; 0 if not known.
    pub line: u32,
}

/// A stack: its leaf and the rest.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stack {
    /// Index of the leaf frame.
    pub frame: u32,
    /// Index of the caller's stack; absent at the root.
    pub caller: Option<u32>,
}

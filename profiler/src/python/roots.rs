//! Root addresses of an interpreter, from which everything else is found.

use crate::{
    python::{
        image::Image,
        layout::{Globals, Layout, TstateLocation},
    },
    sys::memory::Memory,
};

/// Bytes of zeroed data that are searched for the list of interpreters (3.6).
const MAX_BSS: u64 = 4 << 20;

/// Addresses in a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// `_PyRuntime` (3.7+).
    pub runtime: Option<u64>,
    /// The word that points to the `PyInterpreterState` that was made last.
    pub interpreters: u64,
    /// The word that points to the thread state that holds the GIL (≤ 3.11), or 0.
    pub gil_holder: u64,
    /// `Py_tss_t { int is_initialized; pthread_key_t key; }`, if it stands where it is known.
    key: Option<u64>,
}

impl Roots {
    /// Finds them; `None` if the interpreter has not started.
    #[must_use]
    pub fn find(memory: Memory, layout: &Layout, image: &Image, bias: u64) -> Option<Self> {
        let address = |name| image.symbol(name).map(|symbol| symbol.wrapping_add(bias));
        match layout.globals {
            Globals::Variables => Some(Self {
                interpreters: search(memory, layout, image, bias)?,
                gil_holder: address("_PyThreadState_Current")?,
                ..Self::default()
            }),
            Globals::Runtime { interpreters_head, gil_holder } => {
                let runtime = address("_PyRuntime")?;
                Some(Self {
                    runtime: Some(runtime),
                    interpreters: runtime.wrapping_add(interpreters_head),
                    gil_holder: gil_holder.map_or(0, |offset| runtime.wrapping_add(offset)),
                    key: match layout.kept {
                        TstateLocation::Key(offset) => offset.map(|offset| runtime.wrapping_add(offset)),
                        TstateLocation::ThreadLocal => None,
                    },
                })
            }
        }
    }

    /// The key under which threads keep their thread states; `None` if it is not made yet, or is not known.
    #[must_use]
    pub fn key(&self, memory: Memory) -> Option<u32> {
        let key = self.key?;
        (memory.u32(key)? == 1).then(|| memory.u32(key.wrapping_add(4)))?
    }
}

/// 3.6 keeps its interpreters in a static variable, whose symbol does not survive `strip`. It is a word of the zeroed data
/// that points to an interpreter: to what points to a thread state that points back.
fn search(memory: Memory, layout: &Layout, image: &Image, bias: u64) -> Option<u64> {
    /// `PyThreadState.interp`.
    const INTERPRETER: u64 = 16;
    let (start, len) = image.bss().filter(|(_, len)| *len <= MAX_BSS)?;
    let start = start.wrapping_add(bias);
    let data = memory.bytes(start, usize::try_from(len).ok()?)?;
    let words = data.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word));
    let is_pointer = |word: &u64| word.is_multiple_of(8) && (1 << 16..1 << 47).contains(word);
    words.zip(0..).filter(|(word, _)| is_pointer(word)).find_map(|(interpreter, index)| {
        let tstate =
            memory.u64(interpreter + u64::from(layout.walk.interpreter_threads)).filter(is_pointer)?;
        (memory.u64(tstate + INTERPRETER)? == interpreter).then_some(start.wrapping_add(8 * index))
    })
}

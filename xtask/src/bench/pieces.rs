//! Work whose amount is known: the fleet of `tests/workloads/pieces.py`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use super::held::Target;

/// Four workers on CPU 1 that do the same piece of work for ever; gone when dropped.
pub struct Pieces {
    master: Target,
    books: PathBuf,
}

/// What all of them have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    pub pieces: u64,
    pub cpu_ns: u64,
}

impl Pieces {
    pub fn start(venv: &Path, out: &Path) -> Result<Self> {
        let books = out.join("pieces.books");
        let [python, path] = [&venv.join("bin/python"), &books].map(|path| path.display().to_string());
        let mut master = Target::start(&[&python, "tests/workloads/pieces.py", &path])?;
        ensure!(master.line()? == "ready", "failed to start {python}");
        Ok(Self { master, books })
    }

    /// The master, which stands for the whole tree.
    pub fn pid(&self) -> u32 {
        self.master.pid()
    }

    /// What has been done so far.
    pub fn done(&self) -> Result<Done> {
        let read =
            || fs::read(&self.books).with_context(|| format!("failed to read {}", self.books.display()));
        // A worker may be writing: a moment later it no longer is.
        let mut books = read()?;
        loop {
            let again = read()?;
            if again == books {
                return Ok(parse(&books));
            }
            books = again;
        }
    }
}

fn parse(books: &[u8]) -> Done {
    let mut done = Done::default();
    let (workers, _) = books.as_chunks::<16>();
    for worker in workers {
        let (pieces, cpu_ns) = worker.split_at(8);
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_ne_bytes);
        done.pieces += number(pieces);
        done.cpu_ns += number(cpu_ns);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_books_of_all_workers_count() {
        let books = [1, 100, 2, 300_u64].map(u64::to_ne_bytes).concat();
        assert_eq!(parse(&books), Done { pieces: 3, cpu_ns: 400 });
    }
}

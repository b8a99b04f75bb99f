//! Parses the command line of a Python process: which script or module it runs.

use std::path::Path;

use crate::sys::process::Process;

/// What the interpreter was told to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PythonProgram<'a> {
    Script(&'a str),
    Module(&'a str),
    /// `-c`
    Code(&'a str),
    /// Nothing, or standard input.
    Input,
}

/// A command line of Python, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    program: PythonProgram<'a>,
    /// What the program itself was given.
    pub args: &'a [String],
}

impl<'a> Command<'a> {
    /// What this process runs; `None` if it is not known to be Python.
    #[must_use]
    pub fn of(process: &'a Process) -> Option<Self> {
        if !is_python(process) {
            return None;
        }
        let mut words = process.argv.iter().enumerate().skip(1);
        let after = |index: usize| process.argv.get(index + 1..).unwrap_or_default();
        while let Some((index, word)) = words.next() {
            let Some(options) = word.strip_prefix('-').filter(|options| !options.is_empty()) else {
                let program = if word == "-" { PythonProgram::Input } else { PythonProgram::Script(word) };
                return Some(Self { program, args: after(index) });
            };
            if word == "--check-hash-based-pycs" {
                words.next();
                continue;
            }
            // Short options come in clusters; the last one may take the rest of the word, or else the next.
            let Some(at) = options.find(['c', 'm', 'W', 'X']).filter(|_| !options.starts_with('-')) else {
                continue;
            };
            let (option, rest) = options[at..].split_at(1);
            let value = if rest.is_empty() { words.next() } else { Some((index, word)) };
            let Some((index, value)) = value else { break };
            let value = if rest.is_empty() { value.as_str() } else { rest };
            match option {
                "c" => return Some(Self { program: PythonProgram::Code(value), args: after(index) }),
                "m" => return Some(Self { program: PythonProgram::Module(value), args: after(index) }),
                _ => {}
            }
        }
        Some(Self { program: PythonProgram::Input, args: &[] })
    }

    /// The script's file name, or the module.
    #[must_use]
    pub fn name(&self) -> &'a str {
        match self.program {
            PythonProgram::Module(module) => module.strip_suffix(".__main__").unwrap_or(module),
            PythonProgram::Script(path) => {
                let path = Path::new(path);
                // A package or a folder is run by the file in it that has this name.
                let path = if path.ends_with("__main__.py") { path.parent().unwrap_or(path) } else { path };
                path.file_name().and_then(|name| name.to_str()).unwrap_or("python")
            }
            PythonProgram::Code(_) => "-c",
            PythonProgram::Input => "python",
        }
    }

    /// What tells its program from others: the script's path, the module, or the code.
    #[must_use]
    pub const fn program(&self) -> Option<&'a str> {
        match self.program {
            PythonProgram::Script(program)
            | PythonProgram::Module(program)
            | PythonProgram::Code(program) => Some(program),
            PythonProgram::Input => None,
        }
    }

    /// The text behind `-c`.
    #[must_use]
    pub fn code(&self) -> Option<&'a str> {
        if let PythonProgram::Code(code) = self.program { Some(code) } else { None }
    }
}

/// What a process wrote over its command line: that is one word, and may be padded with blanks.
#[must_use]
pub fn title(process: &Process) -> Option<&str> {
    let [title] = process.argv.as_slice() else { return None };
    Some(title.trim_end())
}

/// What a process is called when it is not known better: what it runs, or the kernel's name for it.
#[must_use]
pub fn name(process: &Process) -> &str {
    match Command::of(process) {
        Some(command) if command.program != PythonProgram::Input => command.name(),
        _ => &process.comm,
    }
}

/// True if the executable, or else the first word, is called like an interpreter.
#[must_use]
pub fn is_python(process: &Process) -> bool {
    let is_interpreter = |path: &Path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("python") || name.starts_with("pypy"))
    };
    process.exe.as_deref().is_some_and(is_interpreter)
        || process.argv.first().is_some_and(|word| is_interpreter(Path::new(word)))
}

/// True if both run the same command, as a process does that was forked and has not called `exec`. Titles written over
/// command lines tell nothing of it, so where its stack begins decides before they do.
#[must_use]
pub fn is_same(one: &Process, other: &Process) -> bool {
    let is_forked = one.stack_start != 0 && one.stack_start == other.stack_start;
    let is_alike = one.argv == other.argv && !one.argv.is_empty();
    (is_forked || is_alike) && is_same_executable(one, other)
}

/// True if both are the same program on disk, or if that may not be known.
#[must_use]
pub fn is_same_executable(one: &Process, other: &Process) -> bool {
    one.exe.is_none() || other.exe.is_none() || one.exe == other.exe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::fixture::process;

    #[track_caller]
    fn runs(line: &str, name: &str, args: &[&str]) {
        let process = process(1, 0, line);
        let command = Command::of(&process).unwrap();
        assert_eq!(
            (command.name(), command.args.iter().map(String::as_str).collect::<Vec<_>>()),
            (name, args.to_vec())
        );
    }

    #[test]
    fn scripts_modules_and_code() {
        runs("python /srv/bin/gunicorn -w 4 app:app", "gunicorn", &["-w", "4", "app:app"]);
        runs("python3.11 -m gunicorn app", "gunicorn", &["app"]);
        runs("python3 -uBm gunicorn.__main__ app", "gunicorn", &["app"]);
        runs("python -mhttp.server 80", "http.server", &["80"]);
        runs("python -X dev -W error -Werror -Xutf8 -OO serve.py -m x", "serve.py", &["-m", "x"]);
        runs("python --check-hash-based-pycs always /srv/pool/__main__.py 3", "pool", &["3"]);
        runs("python -c pass 3", "-c", &["3"]);
        runs("python - 3", "python", &["3"]);
        runs("python", "python", &[]);
        runs("python -m", "python", &[]);
        runs("python -I", "python", &[]);
    }

    #[test]
    fn python_by_executable_or_by_first_word() {
        let mut renamed = process(1, 0, "myapp serve.py");
        assert_eq!(name(&renamed), "myapp");
        renamed.exe = Some("/usr/bin/python3.11".into());
        assert_eq!(name(&renamed), "serve.py");
        assert!(!is_python(&process(1, 0, "nginx python")));
        assert!(!is_python(&process(1, 0, "")));
    }

    #[test]
    fn code_and_titles() {
        let mut code = process(1, 0, "python -Bc x");
        code.argv[2] = "import this".to_owned();
        assert_eq!(Command::of(&code).unwrap().code(), Some("import this"));
        assert_eq!(Command::of(&process(1, 0, "python -m this")).unwrap().code(), None);
        assert_eq!(title(&code), None);
        assert_eq!(title(&process(1, 0, "'uWSGI master   ")), Some("uWSGI master"));
    }

    #[test]
    fn the_same_program() {
        let parent = process(1, 0, "python serve.py");
        assert!(!is_same(&process(2, 1, ""), &process(1, 0, "")));
        let mut other = process(2, 1, "python serve.py");
        (other.exe, other.ppid) = (Some("/opt/python".into()), 1);
        assert!(is_same(&other, &parent), "an unknown executable does not tell");
        let mut titled = Process { stack_start: 0x7ffc_0010, ..process(2, 1, "'gunicorn: worker [shop]") };
        let forked_by = Process { stack_start: 0x7ffc_0010, ..parent.clone() };
        assert!(!is_same(&titled, &parent) && is_same(&titled, &forked_by), "a title");
        titled.stack_start = 0x7ffd_0020;
        assert!(!is_same(&titled, &forked_by), "a program of its own");
        let mut parent = parent;
        parent.exe = Some("/usr/bin/python3".into());
        assert!(!is_same(&other, &parent));
    }
}

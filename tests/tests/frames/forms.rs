//! Every interpreter in every form in which it is deployed: the frames of threads that sleep are what the program says that
//! they are, and a busy one's samples are whole. What was run is written down in `docs/interpreters.md`.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use profiler_tests::{
    apache,
    gunicorn::venv,
    interpreters::{IN_ROOT, Interpreter, debian, supported},
    late::{compile, prefix_and_library},
    record::Record,
    recording::{Recording, Wait, total},
    servers::free_port,
    truth::Truth,
    workload::Workload,
    workloads,
};
use serde_json::Value;

/// What sleeping threads said, by TID.
type Told = HashMap<u32, Thread>;

/// One of them.
struct Thread {
    name: String,
    /// Function, file and line of each frame, from the outermost.
    frames: Vec<(String, String, u64)>,
}

/// `told.py` under an interpreter in some form.
struct Target {
    name: String,
    /// What was started: the process itself, or what started it.
    workload: Workload,
    tgid: u32,
    truth: Truth,
    told: Told,
}

/// A way to deploy an interpreter, as the table calls it.
struct Form {
    name: &'static str,
    /// The command line that starts it in this form, to which the script is added; `None` if it does not apply. What it
    /// needs it makes in the folder.
    command: fn(&Interpreter, &Path) -> Option<Command>,
    /// What is done once it runs.
    then: fn(&Path),
}

const FORMS: [Form; 11] = [
    Form { name: "as installed", command: |python, _| Some(python.command()), then: |_| () },
    Form { name: "stripped library", command: stripped, then: |_| () },
    Form { name: "library loaded late", command: late, then: |_| () },
    Form { name: "uWSGI", command: in_uwsgi, then: |_| () },
    Form { name: "mod_wsgi", command: in_mod_wsgi, then: |_| () },
    Form { name: "venv", command: in_venv, then: |_| () },
    Form { name: "another name", command: renamed, then: |_| () },
    Form { name: "title set", command: titled, then: |_| () },
    Form { name: "file deleted", command: renamed, then: delete },
    Form { name: "file replaced", command: renamed, then: replace },
    Form { name: "PID and mount namespaces", command: contained, then: |_| () },
];

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn stripped(python: &Interpreter, folder: &Path) -> Option<Command> {
    let (_, library) = prefix_and_library(python)?;
    let copy = folder.join(library.file_name()?);
    run(Command::new("strip").arg("--strip-all").arg(&library).arg("-o").arg(copy));
    let mut command = python.command();
    command.env("LD_LIBRARY_PATH", folder);
    Some(command)
}

fn late(python: &Interpreter, folder: &Path) -> Option<Command> {
    let (prefix, library) = match &python.root {
        None => prefix_and_library(python)?,
        // Its library's name is enough for its own loader.
        Some(_) => (PathBuf::from("/usr"), format!("libpython3.{}.so.1.0", python.minor).into()),
    };
    let program = compile(folder);
    let inside = Interpreter { path: place(python, &program), ..python.clone() };
    let mut command = inside.command();
    command.env("PYTHONHOME", prefix).arg(library);
    Some(command)
}

/// uWSGI, which runs what it serves when it loads it. It is in the virtual environment.
fn in_uwsgi(python: &Interpreter, folder: &Path) -> Option<Command> {
    is_venvs(python).then_some(())?;
    let program = venv().join("bin/pyuwsgi").display().to_string();
    let options = "--socket 127.0.0.1:0 --enable-threads --disable-logging";
    Some(served(folder, &format!("{program} {options} --pythonpath $0 --wsgi-file $0/app.py")))
}

/// Apache, which loads Debian's libpython late, and imports the script when it starts a process for it.
fn in_mod_wsgi(python: &Interpreter, folder: &Path) -> Option<Command> {
    if python.path != debian()?.path || python.root.is_some() {
        return None;
    }
    let path = folder.display();
    apache::configure(
        folder,
        &format!(
            "Listen 127.0.0.1:{}\nWSGIDaemonProcess told python-path={path}\n\
             WSGIImportScript {path}/app.py process-group=told application-group=%{{GLOBAL}}\n",
            free_port(),
        ),
    );
    // That user comes by way of this one.
    fs::set_permissions(folder.parent()?, fs::Permissions::from_mode(0o755)).expect("it is ours");
    Some(served(folder, &format!("{} -DFOREGROUND -f $0/apache.conf", apache::PROGRAM)))
}

/// A server that runs the script. Its output is a log: the script writes into a pipe of its own, which `cat` reads here.
fn served(folder: &Path, server: &str) -> Command {
    for script in ["told.py", "reveal.py"] {
        fs::copy(workloads().join(script), folder.join(script)).expect("there is room for a file");
    }
    run(Command::new("mkfifo").args(["-m", "666"]).arg(folder.join("said")));
    let said = folder.join("said").display().to_string();
    let app = format!("import sys\nsys.stdout = open('{said}', 'w')\nimport told\n");
    fs::write(folder.join("app.py"), app).expect("there is room for a file");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{server} > $0/log 2>&1 & exec cat $0/said")]).arg(folder);
    command
}

/// Puts a program where an interpreter sees it; its path there.
fn place(python: &Interpreter, program: &Path) -> PathBuf {
    let Some(root) = &python.root else { return program.to_owned() };
    let name = Path::new("/").join(program.file_name().expect("it has a name"));
    fs::copy(program, root.join(name.strip_prefix("/").expect("it is absolute"))).expect("there is room");
    name
}

fn in_venv(python: &Interpreter, folder: &Path) -> Option<Command> {
    if python.root.is_some() {
        return None;
    }
    run(python.command().args(["-m", "venv", "--without-pip"]).arg(folder.join("venv")));
    Some(Command::new(folder.join("venv/bin/python")))
}

/// An executable that is not called python.
fn renamed(python: &Interpreter, folder: &Path) -> Option<Command> {
    if python.root.is_some() {
        return None;
    }
    let copy = folder.join("worker");
    fs::copy(&python.path, &copy).expect("there is room for an interpreter");
    let mut command = Command::new(copy);
    command.env("PYTHONHOME", python.path.parent()?.parent()?);
    if let Some((_, library)) = prefix_and_library(python) {
        fs::copy(&library, folder.join(library.file_name()?)).expect("there is room for a library");
        command.env("LD_LIBRARY_PATH", folder);
    }
    Some(command)
}

/// Removes what runs, and its library.
fn delete(folder: &Path) {
    for file in fs::read_dir(folder).expect("it is there").flatten() {
        fs::remove_file(file.path()).expect("it is ours");
    }
}

/// Puts other files in the place of what runs, and of its library.
fn replace(folder: &Path) {
    for file in fs::read_dir(folder).expect("it is there").flatten() {
        fs::write(folder.join("other"), "not what it was\n").expect("there is room");
        fs::rename(folder.join("other"), file.path()).expect("it is ours");
    }
}

/// The interpreter of the virtual environment, which has what sets titles.
fn titled(python: &Interpreter, _: &Path) -> Option<Command> {
    is_venvs(python).then(|| Command::new(venv().join("bin/python")))
}

fn is_venvs(python: &Interpreter) -> bool {
    fs::canonicalize(venv().join("bin/python")).is_ok_and(|path| path == python.path)
}

#[expect(clippy::unnecessary_wraps, reason = "as every form's")]
fn contained(python: &Interpreter, _: &Path) -> Option<Command> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child"]);
    match &python.root {
        Some(root) => command.args(["sh", "-c", IN_ROOT]).arg(root).env("LC_ALL", "C"),
        None => command.arg("--mount-proc"),
    };
    command.arg(&python.path);
    Some(command)
}

impl Target {
    fn start(python: &Interpreter, form: &Form, folder: &Path) -> Option<Self> {
        fs::create_dir_all(folder).expect("there is room for a folder");
        let mut command = (form.command)(python, folder)?;
        command.arg(python.workloads().join("told.py"));
        if form.name == "title set" {
            command.arg("titled");
        }
        let mut workload = Workload::start(command);
        let name = format!("{} {}", name(python), form.name);
        let truth = Truth::heard(&workload.json());
        let said = workload.json();
        let tgid = python_of(workload.tgid(), &said);
        let told = told(&said, tgid);
        (form.then)(folder);
        Some(Self { name, workload, tgid, truth, told })
    }

    /// Compares what was recorded with what it said.
    fn assert_true(&self, recording: &Recording) {
        let Self { name, truth, told, tgid, .. } = self;
        let samples = recording.samples_of(*tgid);
        let busy: Vec<_> = samples.iter().filter(|sample| sample.tid == *tgid).collect();
        let (mut whole, mut all) = (0, 0);
        for sample in busy {
            all += sample.count;
            if sample.frames.iter().all(|frame| frame.kind != "mark") && !sample.functions().is_empty() {
                truth.assert_explains(sample);
                whole += sample.count;
            }
        }
        assert!(all > 100, "{all} samples of {name}");
        assert!(whole * 1000 >= all * 999, "{whole} of {all} samples of {name} are whole");
        let names = recording.thread_names(*tgid);
        for (tid, thread) in told {
            assert_eq!(names.get(tid), Some(&thread.name), "thread {tid} of {name}");
            let blocked = recording.blocked_of(*tgid, *tid);
            // One that was under way when it began may have ended before it was looked at: it has no stack, and says so.
            let told = |wait: &&Wait| wait.reason == "sleep" && !wait.frames.is_empty();
            let sleeps: Vec<_> = blocked.iter().filter(told).collect();
            assert!(!sleeps.is_empty(), "thread {tid} of {name} sleeps: {blocked:#?}");
            for sleep in sleeps {
                let seen: Vec<_> = sleep.frames.iter().filter(|frame| frame.kind == "python").collect();
                let seen: Vec<_> = seen.iter().map(|f| (f.name.clone(), f.file.clone(), f.line)).collect();
                assert_eq!(seen, thread.frames, "thread {tid} of {name}");
            }
        }
        assert!(total(&samples) > 0);
    }
}

/// What runs Python: the process itself, the child that it made in another PID namespace, or the server that it reads.
fn python_of(tgid: u32, told: &Value) -> u32 {
    let of = |name: &str| fs::read_to_string(format!("/proc/{tgid}/{name}")).unwrap_or_default();
    match of("comm").trim() {
        "unshare" => {
            let children = of(&format!("task/{tgid}/children"));
            children.split_whitespace().next().and_then(|child| child.parse().ok()).expect("it made one")
        }
        "cat" => {
            let thread = told.as_object().and_then(|told| told.keys().next()).expect("a thread");
            let status = fs::read_to_string(format!("/proc/{thread}/status")).expect("it lives");
            let line = status.lines().find_map(|line| line.strip_prefix("Tgid:")).expect("its process");
            line.trim().parse().expect("a PID")
        }
        _ => tgid,
    }
}

/// Stacks by the TIDs that the kernel's initial namespace has for them: a program in a PID namespace has other numbers.
fn told(said: &Value, tgid: u32) -> Told {
    let tids = fs::read_dir(format!("/proc/{tgid}/task")).expect("it lives").flatten();
    let tids = tids.map(|entry| entry.file_name().to_string_lossy().parse::<u32>().expect("a TID"));
    let own: HashMap<String, u32> = tids
        .map(|tid| {
            let status = fs::read_to_string(format!("/proc/{tgid}/task/{tid}/status")).expect("it lives");
            let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).expect("its numbers");
            (numbers.split_whitespace().last().expect("a number").to_owned(), tid)
        })
        .collect();
    let frame = |frame: &Value| {
        let text = |index: usize| frame[index].as_str().expect("text").to_owned();
        (text(0), text(1), frame[2].as_u64().expect("a line"))
    };
    let thread = |said: &Value| Thread {
        name: said["name"].as_str().expect("a name").to_owned(),
        frames: said["frames"].as_array().expect("frames").iter().map(frame).collect(),
    };
    said.as_object().expect("threads").iter().map(|(tid, said)| (own[tid], thread(said))).collect()
}

/// The name of an interpreter in the table.
fn name(python: &Interpreter) -> String {
    if !python.has_gil() {
        return "3.13t static, built from source".to_owned();
    }
    let how = match (&python.root, prefix_and_library(python)) {
        (None, Some(_)) => "shared, built from source",
        _ => "static, stripped, PGO and LTO (Debian)",
    };
    format!("3.{} {how}", python.minor)
}

#[test]
fn frames_are_true_in_every_form() {
    let mut table: BTreeMap<(u32, String), Vec<&str>> = BTreeMap::new();
    for form in &FORMS {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let targets: Vec<_> = supported()
            .iter()
            .enumerate()
            .filter_map(|(index, python)| {
                let target = Target::start(python, form, &folder.path().join(index.to_string()));
                let row = table.entry((python.minor, name(python))).or_default();
                row.push(if target.is_some() { "true" } else { "–" });
                target
            })
            .collect();
        let tgids: Vec<_> = targets.iter().map(|target| target.tgid).collect();
        let recorded = Record::start(&tgids, &["-r", "999"]).end_after(&tgids, 200);
        for target in &targets {
            target.assert_true(&recorded.recording);
            target.workload.signal(libc::SIGKILL);
        }
    }
    let written = text(&table);
    let path = workloads().join("../../docs/interpreters.md");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &written).expect("there is room");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == written, "docs/interpreters.md is not what was run (BLESS=1 writes it):\n{written}");
}

fn text(table: &BTreeMap<(u32, String), Vec<&str>>) -> String {
    let heads: Vec<_> = FORMS.iter().map(|form| form.name).collect();
    let mut text = format!(
        "# Interpreters and forms\n\nWritten by `tests/tests/frames/forms.rs`, which runs each: *true* means that the frames of \
         twelve sleeping threads (function, file, line and order) were all what the program said of itself, and at least \
         99.9 % of a busy thread's samples were whole and could be true. A dash: there is no such form of it here. (mod_wsgi \
         loads Debian's shared library.)\n\n\
         | CPython, x86_64 | {} |\n|---|{}\n",
        heads.join(" | "),
        "---|".repeat(heads.len()),
    );
    for ((_, name), cells) in table {
        text.extend(["| ", name, " | ", &cells.join(" | "), " |\n"]);
    }
    text
}

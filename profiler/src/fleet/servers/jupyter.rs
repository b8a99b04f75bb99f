//! Jupyter: its kernels, each a fleet that is called by its notebook, and the servers that start them.
//!
//! A server puts the notebook's path into the environment of the kernel that it starts. Facts are from the sources of
//! ipykernel 7.4, which was looked at as it runs, and of Jupyter Server 2.17; with all that it needs it is too large for the
//! tests.

use std::path::Path;

use crate::{
    fleet::{
        Fleet,
        command::{self, Command},
        options::{CommandOptions, Grammar},
        relation,
        search::Discovery,
        servers::{PLAIN, Server},
    },
    sys::process::Process,
};

/// What is known of it.
pub static SERVER: Server = Server {
    name: "jupyter",
    what: "Jupyter's kernels of Python, and JupyterLab, Notebook and their server",
    recognise,
    waits_for_work: &[
        // A kernel's threads that answer heartbeats, read what its children print, look for its parent, and save what was
        // typed; its others have event loops.
        ("zmq/sugar/__init__.py", &["device"]),
        ("ipykernel/iostream.py", &["_watch_pipe_fd"]),
        ("ipykernel/parentpoller.py", &["run"]),
        ("IPython/core/history.py", &["run"]),
    ],
    ..PLAIN
};

/// What servers are called, as scripts and as modules, and what fleets of them are.
const SERVERS: [(&str, &str); 7] = [
    ("jupyter-lab", "lab"),
    ("jupyterlab", "lab"),
    ("jupyter-notebook", "notebook"),
    ("notebook", "notebook"),
    ("jupyter-server", "server"),
    ("jupyter_server", "server"),
    ("jupyterhub-singleuser", "singleuser"),
];

/// Options of a kernel.
const GRAMMAR: Grammar = Grammar {
    wanted: &["f"],
    letters: &[('f', "f")],
    letter_flags: "",
    flags: &["debug", "no-secure", "no-stderr", "no-stdout", "quiet"],
    abbreviates: false,
};

/// A kernel, with the processes that its notebook started; or a server, which has none but itself.
fn recognise(process: &Process, discovery: &Discovery<'_>) -> Option<Fleet> {
    let command = Command::of(process)?;
    if let Some((_, name)) = SERVERS.iter().find(|(program, _)| *program == command.name()) {
        // Kernels and what is run in terminals are fleets of their own.
        let why = format!("its command line runs {}", command.name());
        return Some(discovery.gather(SERVER.name, name, (process, why), |_, _| None)?.or_alone());
    }
    let file = connection_file(&command)?;
    let notebook = (discovery.probe.environ)(process.tgid, "JPY_SESSION_NAME");
    let stem = Path::new(notebook.as_deref().unwrap_or(&file));
    let stem = if notebook.is_some() { stem.file_name() } else { stem.file_stem() };
    let name = stem.map_or_else(|| command::name(process).into(), |stem| stem.to_string_lossy());
    let judge = |child: &Process, _| Some(relation::part_of(child, process));
    let why = "its command line runs a kernel of Jupyter".to_owned();
    Some(discovery.gather(SERVER.name, &name, (process, why), judge)?.or_alone())
}

/// The file that tells a kernel's ports; what has none is no kernel.
fn connection_file(command: &Command<'_>) -> Option<String> {
    let is_kernel = matches!(command.name(), "ipykernel_launcher" | "ipykernel" | "ipykernel_launcher.py");
    let options = is_kernel.then(|| CommandOptions::parse(command.args, &GRAMMAR))?;
    options.get("f").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use crate::fleet::{
        ProcessProbe,
        fixture::{found, host, probe},
    };

    #[test]
    fn kernels_and_their_server() {
        let kernel = "python -Xfrozen_modules=off -m ipykernel_launcher -f /run/kernel-2f.json";
        let tree = host(&[
            (2, 1, "python /bin/jupyter-lab --no-browser"),
            (3, 2, kernel),
            (4, 3, kernel),
            (5, 3, "convert"),
            (6, 2, "bash"),
            (7, 6, "python serve.py"),
            (8, 7, "python serve.py"),
            (9, 1, "python -m ipykernel_launcher --f=/run/kernel-v3.json"),
        ]);
        let environ = |tgid, _: &str| (tgid == 3).then(|| "/home/me/sums.ipynb".to_owned());
        let expected = [
            "jupyter kernel-v3: w9",
            "jupyter lab: w2",
            "jupyter sums.ipynb: m3 w4 h5",
            "python serve.py: m7 w8",
        ];
        assert_eq!(found(&tree, &ProcessProbe { environ, ..probe() }), expected);
    }

    #[test]
    fn what_is_no_kernel() {
        let tree = host(&[
            (2, 1, "python -m ipykernel install --user"),
            (3, 1, "python run.py ipykernel_launcher -f kernel.json"),
            (4, 1, "tail -f kernel.json"),
            (5, 1, "python -m ipykernel_launcher"),
        ]);
        assert!(found(&tree, &probe()).is_empty());
    }
}

//! Flask's development server, `flask run` or `app.run()`: a process that serves, and with the reloader a parent that starts
//! it again when files change.
//!
//! Facts are from the sources of Flask 3.1 and Werkzeug 3.1, whose server and reloader it is.

use crate::{
    fleet::{
        Fleet,
        options::Grammar,
        program::ServerProgram,
        search::Discovery,
        servers::{PLAIN, Server, reloader},
    },
    sys::process::Process,
};

/// What is known of it.
pub static SERVER: Server = Server {
    name: "flask",
    what: "Flask's `flask run` and `app.run()`",
    recognise,
    // Its loop that looks for changed files; its other thread is a server of the standard library.
    waits_for_work: &[("werkzeug/_reloader.py", &["run"])],
    idle_design: reloader::idle_design,
    ..PLAIN
};

const FLASK: ServerProgram = ServerProgram {
    names: &["flask"],
    grammar: Grammar {
        wanted: &["app"],
        letters: &[('A', "app")],
        letter_flags: "",
        flags: &["debug", "debugger", "reload", "with-threads", "without-threads"],
        abbreviates: false,
    },
    stack: &["werkzeug/serving.py"],
};

/// A reloader with the process that serves, or that one alone.
fn recognise(process: &Process, discovery: &Discovery<'_>) -> Option<Fleet> {
    let found = FLASK.find(process, discovery)?;
    let name = if let Some(caller) = &found.caller {
        // Others have Werkzeug's server too.
        discovery.runs(process, &["flask/app.py", "flask/cli.py"])?;
        caller.clone()
    } else if found.options.words.first()? == "run" {
        let typed = found.options.get("app").map(str::to_owned);
        let app = typed.or_else(|| (discovery.probe.environ)(process.tgid, "FLASK_APP"));
        app.unwrap_or_else(|| SERVER.name.to_owned())
    } else {
        return None;
    };
    reloader::gather(&SERVER, &name, (process, found.why), discovery)
}

#[cfg(test)]
mod tests {
    use crate::fleet::{
        ProcessProbe,
        fixture::{found, host, probe},
    };

    #[test]
    fn by_command_line() {
        let tree = host(&[
            (2, 1, "python /bin/flask --app shop run --debug -p 80"),
            (3, 2, "/venv/bin/python /bin/flask --app shop run --debug -p 80"),
            (4, 1, "python -m flask --debug -A blog:make run"),
            (5, 1, "python /bin/flask run"),
            (6, 1, "python /bin/flask run"),
            (7, 1, "python /bin/flask --app shop shell"),
            (8, 1, "less flask run"),
        ]);
        let environ = |tgid, name: &str| (tgid == 6 && name == "FLASK_APP").then(|| "wiki".to_owned());
        let expected = ["flask blog:make: w4", "flask flask: w5", "flask shop: m2 w3", "flask wiki: w6"];
        assert_eq!(found(&tree, &ProcessProbe { environ, ..probe() }), expected);
    }

    #[test]
    fn called_by_a_program() {
        let tree =
            host(&[(2, 1, "python shop.py"), (3, 2, "/venv/bin/python shop.py"), (4, 1, "python odoo.py")]);
        let peek = |tgid| {
            let flask = (tgid < 4).then(|| "/lib/flask/app.py".to_owned());
            Some(flask.into_iter().chain(["/lib/werkzeug/serving.py".to_owned()]).collect())
        };
        assert_eq!(found(&tree, &ProcessProbe { peek, ..probe() }), ["flask shop.py: m2 w3"]);
    }
}

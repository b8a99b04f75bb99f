//! Waitress: one process with threads that work.
//!
//! Facts are from the sources of waitress 3.0.

use crate::{
    fleet::{
        Fleet,
        options::Grammar,
        program::ServerProgram,
        relation,
        search::Discovery,
        servers::{PLAIN, Server},
    },
    model::worker::Role,
    sys::process::Process,
};

/// What is known of it.
pub static SERVER: Server = Server {
    name: "waitress",
    what: "waitress",
    recognise,
    waits_for_work: &[("waitress/wasyncore.py", &["poll", "poll2"])],
    ..PLAIN
};

const WAITRESS: ServerProgram = ServerProgram {
    names: &["waitress-serve", "waitress"],
    grammar: Grammar {
        wanted: &[],
        letters: &[],
        letter_flags: "",
        flags: &[
            "asyncore-use-poll",
            "call",
            "clear-untrusted-proxy-headers",
            "expose-tracebacks",
            "ipv4",
            "ipv6",
            "log-socket-errors",
            "log-untrusted-proxy-headers",
        ],
        abbreviates: true,
    },
    stack: &["waitress/server.py"],
};

/// A worker alone.
fn recognise(process: &Process, discovery: &Discovery<'_>) -> Option<Fleet> {
    let found = WAITRESS.find(process, discovery)?;
    // It forks nobody: what is below it, its application has started.
    let judge = |child: &Process, _| Some((Role::Helper, relation::part_of(child, process).1));
    let fleet =
        discovery.gather(SERVER.name, found.name(SERVER.name), (process, found.why.clone()), judge)?;
    Some(fleet.or_alone())
}

#[cfg(test)]
mod tests {
    use crate::fleet::{
        ProcessProbe,
        fixture::{found, host, probe},
    };

    #[test]
    fn a_worker_alone() {
        let line = "python /bin/waitress-serve --call --listen :80 --no-ipv6 shop:make";
        let tree = host(&[
            (2, 1, line),
            (3, 2, line),
            (4, 1, "python -m waitress --threads=4 blog:app"),
            (5, 1, "python serve.py"),
        ]);
        let peek = |tgid| (tgid == 5).then(|| vec!["/lib/waitress/server.py".to_owned()]);
        let expected = ["waitress blog:app: w4", "waitress serve.py: w5", "waitress shop:make: w2 h3"];
        assert_eq!(found(&tree, &ProcessProbe { peek, ..probe() }), expected);
    }
}

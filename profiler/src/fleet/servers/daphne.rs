//! Daphne: one process with an event loop.
//!
//! Facts are from the sources of Daphne 4.2, which was looked at as it runs; with all that it needs it is too large for the
//! tests.

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
pub static SERVER: Server = Server { name: "daphne", what: "Daphne", recognise, ..PLAIN };

const DAPHNE: ServerProgram = ServerProgram {
    names: &["daphne"],
    grammar: Grammar {
        wanted: &[],
        letters: &[],
        letter_flags: "",
        flags: &["no-server-name", "proxy-headers"],
        abbreviates: true,
    },
    stack: &["daphne/server.py"],
};

/// A worker alone.
fn recognise(process: &Process, discovery: &Discovery<'_>) -> Option<Fleet> {
    let found = DAPHNE.find(process, discovery)?;
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
        let line = "python /bin/daphne -b 0.0.0.0 -p 80 --proxy-headers shop.asgi:application";
        let tree = host(&[
            (2, 1, line),
            (3, 2, line),
            (4, 1, "python -m daphne blog:app"),
            (5, 1, "python serve.py"),
            (6, 1, "man daphne"),
        ]);
        let peek = |tgid| (tgid == 5).then(|| vec!["/lib/daphne/server.py".to_owned()]);
        let expected = ["daphne blog:app: w4", "daphne serve.py: w5", "daphne shop.asgi:application: w2 h3"];
        assert_eq!(found(&tree, &ProcessProbe { peek, ..probe() }), expected);
    }
}

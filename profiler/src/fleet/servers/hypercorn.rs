//! Hypercorn: a supervisor and the workers that it spawns, of which there is one by default; with `--workers 0` it
//! serves itself.
//!
//! Facts are from the sources of Hypercorn 0.18.

use crate::{
    fleet::{
        Fleet, event_loop,
        options::Grammar,
        program::ServerProgram,
        relation,
        search::Discovery,
        servers::{PLAIN, Server},
    },
    sys::process::Process,
};

/// What is known of it.
pub static SERVER: Server = Server {
    name: "hypercorn",
    what: "Hypercorn",
    recognise,
    // The master, which waits for its workers' ends.
    waits_for_work: &[("hypercorn/run.py", &["run"])],
    ..PLAIN
};

const HYPERCORN: ServerProgram = ServerProgram {
    names: &["hypercorn"],
    grammar: Grammar {
        wanted: &["worker-class"],
        letters: &[('k', "worker-class")],
        letter_flags: "D",
        flags: &["daemon", "debug", "reload"],
        abbreviates: true,
    },
    stack: &["hypercorn/run.py", "hypercorn/asyncio/run.py", "hypercorn/trio/run.py"],
};

/// A supervisor with its workers, or a worker alone.
fn recognise(process: &Process, discovery: &Discovery<'_>) -> Option<Fleet> {
    let found = HYPERCORN.find(process, discovery)?;
    let judge = |child: &Process, _| Some(relation::part_of(child, process));
    let fleet =
        discovery.gather(SERVER.name, found.name(SERVER.name), (process, found.why.clone()), judge)?;
    let mut fleet = fleet.or_alone();
    let typed = found.options.get("worker-class");
    let typed = typed.map(|class| (class, format!("its options say {class}")));
    for worker in fleet.workers_mut() {
        if let Some((class, why)) = typed.clone().or_else(|| event_loop::of(worker.tgid, discovery)) {
            worker.is_of_class(class, &why);
        }
    }
    Some(fleet)
}

#[cfg(test)]
mod tests {
    use crate::fleet::{
        ProcessProbe,
        fixture::{found, host, probe},
    };

    #[test]
    fn supervisors_and_one_process() {
        let tree = host(&[
            (2, 1, "python /bin/hypercorn --reload -w 2 -k uvloop shop:app"),
            (3, 2, "python -c spawn_main --multiprocessing-fork"),
            (4, 1, "python -m hypercorn --bind :80 blog:app -w 0"),
            (5, 1, "python serve.py"),
        ]);
        let peek = |tgid| match tgid {
            4 => Some(vec!["/lib/trio/_core/_run.py".to_owned(), "/lib/hypercorn/trio/run.py".to_owned()]),
            5 => Some(vec!["/lib/hypercorn/asyncio/run.py".to_owned()]),
            _ => None,
        };
        let expected =
            ["hypercorn blog:app: w4:trio", "hypercorn serve.py: w5", "hypercorn shop:app: m2 w3:uvloop"];
        assert_eq!(found(&tree, &ProcessProbe { peek, ..probe() }), expected);
    }
}

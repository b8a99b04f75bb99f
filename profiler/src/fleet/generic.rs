//! Any Python program that runs in several processes: a pool of `multiprocessing`, a server that forks by hand.

use crate::{
    fleet::{
        Fleet,
        command::{self, is_piece_of},
        discover::Search,
    },
    model::worker::Role,
    sys::process::Process,
};

/// A Python parent with children of the same program.
#[must_use]
pub fn recognise(process: &Process, search: &Search<'_>) -> Option<Fleet> {
    let has_pieces = search.tree.children(process.tgid).any(|child| is_piece_of(child, process));
    let is_python = || command::is_python(process) || (search.eyes.version)(process.tgid).is_some();
    if !has_pieces || !is_python() {
        return None;
    }
    let why = "it is Python and has children of the same program".to_owned();
    let judge = |child: &Process, _| {
        Some(if is_piece_of(child, process) {
            (Role::Worker, "it runs the same program as its parent".to_owned())
        } else {
            (Role::Helper, "it runs another program than its parent".to_owned())
        })
    };
    let fleet = search.gather("python", command::name(process), (process, why), judge)?;
    // What looked like a piece of it may have been on the way to `exec`.
    Some(fleet).filter(|fleet| fleet.with(Role::Worker).next().is_some())
}

#[cfg(test)]
mod tests {
    use crate::fleet::{
        Eyes,
        fixture::{self, becomes, eyes, found, host, process},
    };

    #[test]
    fn a_pool() {
        let tree = host(&[
            (2, 1, "python -m pool 3"),
            (3, 2, "python -m pool 3"),
            (4, 2, "python -m pool 3"),
            (5, 4, "python -m pool 3"),
            (6, 2, "tar x"),
            (7, 2, "python -c from-spawn --multiprocessing-fork"),
        ]);
        assert_eq!(found(&tree, &eyes()), ["python pool: m2 w3 w4 w7 h5 h6"]);
    }

    #[test]
    fn what_is_no_fleet() {
        let tree = host(&[
            (2, 1, "nginx"),
            (3, 2, "nginx"),
            (4, 1, "python a.py"),
            (5, 4, "python b.py"),
            (6, 1, "python c.py"),
        ]);
        assert!(found(&tree, &eyes()).is_empty());
    }

    #[test]
    fn python_by_what_it_has_mapped() {
        let tree = host(&[(2, 1, "uwsgi --master"), (3, 2, "uwsgi --master")]);
        let eyes = Eyes { version: |_| Some("3.12.1".to_owned()), ..fixture::eyes() };
        assert_eq!(found(&tree, &eyes), ["python uwsgi: m2 w3"]);
    }

    #[test]
    fn a_child_on_its_way_to_exec_is_no_worker() {
        let tree = host(&[(2, 1, "python build.py"), (3, 2, "python build.py")]);
        becomes(3, Some(process(3, 2, "cc -c x.c")));
        assert!(found(&tree, &eyes()).is_empty());
        becomes(3, None);
        assert!(found(&tree, &eyes()).is_empty());
        becomes(3, Some(process(3, 1, "python build.py")));
        assert!(found(&tree, &eyes()).is_empty(), "an orphan, or another process of the same PID");
    }
}

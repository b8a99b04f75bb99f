//! How a child is related to a parent that runs the same program: forked, or started by one of the ways of multiprocessing.

use crate::{
    fleet::command::{Command, is_same, is_same_executable},
    model::worker::Role,
    sys::process::Process,
};

/// What multiprocessing starts besides the processes that were asked for.
const HELPERS: [(&str, &str); 2] = [
    ("from multiprocessing.resource_tracker import main", "multiprocessing's resource tracker"),
    ("from multiprocessing.forkserver import main", "multiprocessing's fork server"),
];

/// True if `child` runs its parent's program: it was forked, started by multiprocessing's `spawn`, or by a reloader.
#[must_use]
pub fn runs_same_program(child: &Process, parent: &Process) -> bool {
    is_same(child, parent) || is_spawned_by(child, parent) || is_started_again(child, parent)
}

/// True if it was started with its parent's own command. Reloaders do so; they name the interpreter by its whole path.
fn is_started_again(child: &Process, parent: &Process) -> bool {
    let again = Command::of(child).filter(|command| command.program().is_some());
    again.is_some() && again == Command::of(parent) && is_same_executable(child, parent)
}

/// True if multiprocessing's `spawn` started it. A frozen application gives it words behind that one.
#[must_use]
pub fn is_spawned_by(child: &Process, parent: &Process) -> bool {
    child.argv.iter().any(|word| word == "--multiprocessing-fork") && is_same_executable(child, parent)
}

/// True for multiprocessing's fork server, and for what it forks: they have the same command line.
#[must_use]
pub fn is_of_forkserver(process: &Process) -> bool {
    is_helper(process) == Some(HELPERS[1].1)
}

/// A process's part in the fleet of a master that runs its own workers, and why.
#[must_use]
pub fn part_of(child: &Process, master: &Process) -> (Role, String) {
    let (role, why) = match is_helper(child) {
        Some(_) if child.ppid != master.tgid => (Role::Worker, "multiprocessing's fork server forked it"),
        Some(helper) => return (Role::Helper, format!("it is {helper}")),
        None if is_same(child, master) => (Role::Worker, "it runs the same program as its parent"),
        None if is_spawned_by(child, master) => (Role::Worker, "multiprocessing spawned it"),
        None if is_started_again(child, master) => (Role::Worker, "its parent started its own command again"),
        None => (Role::Helper, "it runs another program than its parent"),
    };
    (role, why.to_owned())
}

/// Name of what a process does for multiprocessing, if it is no worker.
#[must_use]
pub fn is_helper(process: &Process) -> Option<&'static str> {
    let code = Command::of(process)?.code()?;
    HELPERS.iter().find(|(start, _)| code.starts_with(start)).map(|(_, helper)| *helper)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::fixture::process;

    #[test]
    fn pieces_of_a_program() {
        let parent = process(1, 0, "python serve.py");
        assert!(runs_same_program(&process(2, 1, "python serve.py"), &parent));
        assert!(runs_same_program(&process(2, 1, "python -c from-spawn --multiprocessing-fork"), &parent));
        assert!(!runs_same_program(&process(2, 1, "python other.py"), &parent));
        let reloaded = process(2, 1, "/venv/bin/python3 -Wd serve.py");
        assert!(runs_same_program(&reloaded, &parent));
        assert!(!runs_same_program(&process(2, 1, "/venv/bin/python3 serve.py 1"), &parent));
        assert!(
            !runs_same_program(&process(2, 1, "python3"), &process(1, 0, "python")),
            "an interactive one"
        );
        let frozen = process(2, 1, "shop --multiprocessing-fork tracker_fd=5 pipe_handle=7");
        assert!(runs_same_program(&frozen, &process(1, 0, "shop serve")));
        let mut other = process(2, 1, "python -c from-spawn --multiprocessing-fork");
        other.exe = Some("/opt/python".into());
        assert!(runs_same_program(&other, &parent), "an unknown executable does not tell");
        let parent = Process { exe: Some("/usr/bin/python3".into()), ..parent };
        assert!(!runs_same_program(&other, &parent));
    }

    #[test]
    fn parts_in_a_fleet() {
        let master = process(1, 0, "python serve.py");
        let of = |ppid: u32, words: &[&str]| {
            let argv = words.iter().map(|word| (*word).to_owned()).collect();
            part_of(&Process { argv, ..process(2, ppid, "python") }, &master)
        };
        let tracker =
            of(1, &["python", "-B", "-c", "from multiprocessing.resource_tracker import main;main(4)"]);
        assert_eq!(tracker, (Role::Helper, "it is multiprocessing's resource tracker".to_owned()));
        let server = ["python", "-c", "from multiprocessing.forkserver import main; main(8, 9, ['x'])"];
        assert_eq!(of(1, &server), (Role::Helper, "it is multiprocessing's fork server".to_owned()));
        assert_eq!(of(3, &server), (Role::Worker, "multiprocessing's fork server forked it".to_owned()));
        let spawned =
            ["python", "-c", "from multiprocessing.spawn import spawn_main", "--multiprocessing-fork"];
        assert_eq!(of(1, &spawned), (Role::Worker, "multiprocessing spawned it".to_owned()));
        assert_eq!(of(1, &["python", "serve.py"]).0, Role::Worker);
        let again = (Role::Worker, "its parent started its own command again".to_owned());
        assert_eq!(of(1, &["/venv/bin/python", "serve.py"]), again);
        assert_eq!(of(1, &["python", "-c", "pass"]).0, Role::Helper);
    }
}

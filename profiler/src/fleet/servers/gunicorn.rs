//! Gunicorn: a master, called arbiter, and the workers that it forks.
//!
//! Where the settings come from, in Gunicorn's own order: the command line, then `GUNICORN_CMD_ARGS`, then a
//! configuration file. The file is a Python program, so it is not read: what it chose shows in the workers' stacks.
//! Facts are from the sources of Gunicorn 19 to 27.

use crate::{
    fleet::{
        Fleet, Member, ProcessProbe, bounded,
        command::{self, Command, is_same},
        options::{self, CommandOptions, Grammar},
        search::Discovery,
        servers::{PLAIN, Scale, Server, design},
    },
    model::worker::Role,
    sys::process::Process,
};

/// What is known of it.
pub static SERVER: Server = Server {
    name: "gunicorn",
    what: "Gunicorn, all worker classes",
    recognise,
    waits_for_work: &[
        // The master, which waits for signals; then its workers' main loops.
        ("gunicorn/arbiter.py", &[]),
        ("gunicorn/workers/sync.py", &["wait", "accept", "run", "run_for_one", "run_for_multiple"]),
        (
            "gunicorn/workers/gthread.py",
            &["run", "accept", "murder_keepalived", "wait_for_and_dispatch_events"],
        ),
        ("gunicorn/workers/ggevent.py", &["run"]),
        ("gunicorn/workers/geventlet.py", &["run"]),
        ("gunicorn/workers/gasgi.py", &["run"]),
        ("gunicorn/dirty/arbiter.py", &[]),
    ],
    // From the sources of Gunicorn 26.1, and measured by `tests/tests/numbers/idle_servers.rs`.
    idle_design: |role, class, _| match (role, class) {
        (Role::Master, _) => design(0.9, 1.1, "the arbiter looks after its workers each second"),
        (Role::Worker, Some("sync")) => {
            design(0.06, 0.08, "select gives up after half the timeout, which is 30 s by default")
        }
        (Role::Worker, Some("gthread")) => design(0.9, 1.1, "its poller gives up after a second"),
        (Role::Worker, Some("gevent" | "eventlet" | "asgi")) => {
            design(0.9, 1.1, "it tells the arbiter each second that it lives")
        }
        (Role::Worker, Some("tornado")) => design(0.9, 2.1, "two callbacks, each once a second"),
        _ => None,
    },
    scale: Some(Scale { up: libc::SIGTTIN, down: libc::SIGTTOU }),
    ..PLAIN
};

/// What `gunicorn` is called as a script and as a module.
const NAMES: [&str; 3] = ["gunicorn", "gunicorn3", "gunicorn.app.wsgiapp"];

/// Options of Gunicorn, parsed as by argparse. (`--proxy-protocol` may take a value; then it must be last, or written with
/// `=`.)
const GRAMMAR: Grammar = Grammar {
    wanted: &["worker-class", "name", "threads"],
    letters: &[('k', "worker-class"), ('n', "name")],
    letter_flags: "DR",
    flags: &[
        "capture-output",
        "casefold-http-method",
        "check-config",
        "daemon",
        "disable-redirect-access-to-syslog",
        "do-handshake-on-connect",
        "enable-backlog-metric",
        "enable-stdio-inheritance",
        "initgroups",
        "log-syslog",
        "no-control-socket",
        "no-sendfile",
        "permit-obsolete-folding",
        "permit-unconventional-http-method",
        "permit-unconventional-http-version",
        "preload",
        "print-config",
        "proxy-protocol",
        "reload",
        "reuse-port",
        "spew",
        "strip-header-spaces",
        "suppress-ragged-eofs",
    ],
    abbreviates: true,
};

/// Modules whose code a worker runs, as paths, and what the class is called on the command line.
const CLASSES: [(&str, &str); 8] = [
    ("gunicorn/workers/sync", "sync"),
    ("gunicorn/workers/gthread", "gthread"),
    ("gunicorn/workers/ggevent", "gevent"),
    ("gunicorn/workers/geventlet", "eventlet"),
    ("gunicorn/workers/gtornado", "tornado"),
    ("gunicorn/workers/gasgi", "asgi"),
    ("uvicorn/workers", "uvicorn"),
    ("uvicorn_worker/", "uvicorn"),
];

/// A running Gunicorn's master, and its fleet.
fn recognise(process: &Process, discovery: &Discovery<'_>) -> Option<Fleet> {
    let probe = discovery.probe;
    let mut options = CommandOptions::default();
    let (name, why) = match GunicornTitle::of(process) {
        Some(GunicornTitle::Master(name)) => {
            (Some(name.to_owned()), "its title says that it is Gunicorn's master")
        }
        Some(GunicornTitle::Worker | GunicornTitle::Other(_)) => return None,
        None if is_gunicorn(process) => {
            options = CommandOptions::parse(Command::of(process)?.args, &GRAMMAR);
            (None, "its command line runs Gunicorn")
        }
        None => {
            // Embedded in another program: only the stack tells.
            let has_twins = discovery.tree.children(process.tgid).any(|child| is_same(child, process));
            if !has_twins || !is_arbiter(&(probe.peek)(process.tgid)?) {
                return None;
            }
            (Some(command::name(process).to_owned()), "its Python stack is in gunicorn/arbiter.py")
        }
    };
    let environment = (probe.environ)(process.tgid, "GUNICORN_CMD_ARGS").unwrap_or_default();
    options.fall_back_on(CommandOptions::parse(&options::split(&environment), &GRAMMAR));
    let typed = options.get("name").or(options.words.first().map(String::as_str));
    let name = name.unwrap_or_else(|| typed.unwrap_or("gunicorn").to_owned());

    let judge = |child: &Process, shares: Option<bool>| judge(child, process, shares, discovery);
    let mut fleet = discovery.gather(SERVER.name, &name, (process, why.to_owned()), judge)?;
    let class = class(&options, process.tgid, &fleet, probe);
    for worker in fleet.workers_mut() {
        match &class {
            Some((class, why)) => worker.is_of_class(class, why),
            None => worker
                .evidence
                .push("its class shows neither in its options nor in its Python stack".to_owned()),
        }
    }
    // A newer Gunicorn's master obeys at a socket of its own, `gunicorn.ctl`.
    let control = discovery.listening(process.tgid, process.tgid).unwrap_or_default().into_values();
    let control = control.into_iter().find(|address| address.rsplit('.').next() == Some("ctl"));
    if let (Some(address), Some(master)) = (control, fleet.members.first_mut()) {
        master.evidence.push(bounded(&format!("it is controlled at {address}")));
    }
    Some(fleet)
}

/// What a child of the master is; `None` for a master of its own, as after an upgrade by SIGUSR2.
fn judge(
    child: &Process,
    master: &Process,
    shares: Option<bool>,
    discovery: &Discovery<'_>,
) -> Option<(Role, String)> {
    let (worker, helper) =
        (|why: &str| Some((Role::Worker, why.to_owned())), |why: String| Some((Role::Helper, why)));
    let mut children = discovery.tree.children(child.tgid);
    match GunicornTitle::of(child) {
        Some(GunicornTitle::Worker) => return worker("its title says that it is Gunicorn's worker"),
        Some(GunicornTitle::Master(_))
            if children.any(|below| GunicornTitle::of(below) == Some(GunicornTitle::Worker)) =>
        {
            return None;
        }
        Some(GunicornTitle::Master(_)) => {
            return worker("it has its master's title still: it was just forked");
        }
        Some(GunicornTitle::Other(title)) => return helper(format!("its title says {}", bounded(title))),
        None => {}
    }
    let is_upgrade =
        || (discovery.probe.environ)(child.tgid, "GUNICORN_PID") == Some(master.tgid.to_string());
    if !is_same(child, master) {
        return if is_gunicorn(child) {
            None
        } else {
            helper("it runs another command than its master".to_owned())
        };
    } else if is_upgrade() {
        return None;
    }
    // The "dirty" arbiter, and whatever else the master's hooks may fork, run the same command.
    let is_doubtful = shares == Some(false) || children.any(|below| is_same(below, child));
    if is_doubtful {
        let stack = (discovery.probe.peek)(child.tgid).unwrap_or_default();
        let stack_has = |part| stack.iter().any(|file| file.contains(part));
        if stack_has("gunicorn/dirty/") {
            return helper("its Python stack is in gunicorn/dirty/".to_owned());
        } else if shares == Some(false) && !stack_has("gunicorn/workers/") {
            return helper("it does not hold its master's listening socket".to_owned());
        }
    }
    worker("its master runs Gunicorn, and it runs the same command")
}

/// The class of a master's workers, and how it is known.
fn class(
    options: &CommandOptions,
    master: u32,
    fleet: &Fleet,
    probe: &ProcessProbe,
) -> Option<(String, String)> {
    let is_sync = |class: &str| class == "sync" || class.ends_with("SyncWorker");
    let threads = options.number("threads").unwrap_or(1);
    let typed = options.get("worker-class");
    match typed {
        Some(class) if !is_sync(class) => return Some((plain(class), format!("its options say {class}"))),
        Some(class) if threads > 1 => {
            return Some(("gthread".to_owned(), format!("its options say {class} and {threads} threads")));
        }
        _ => {}
    }
    let stack_of = |worker: &Member| Some((class_of_stack(&(probe.peek)(worker.tgid)?)?, worker.tgid));
    if let Some(((class, file), tgid)) = fleet.with(Role::Worker).find_map(stack_of) {
        return Some((class.to_owned(), format!("the Python stack of {tgid} is in {file}")));
    }
    if threads > 1 {
        return Some(("gthread".to_owned(), format!("its options say {threads} threads")));
    }
    if let Some(class) = typed {
        return Some((plain(class), format!("its options say {class}")));
    }
    // A worker may have imported gevent for its application; a master has it from the class of its workers.
    let gevent =
        (probe.code_files)(master).into_iter().find(|file| file.iter().any(|part| part == "gevent"))?;
    Some(("gevent".to_owned(), format!("its master has {} loaded", gevent.display())))
}

/// The class by the worker's main loop, which is the outermost of its frames.
fn class_of_stack(files: &[String]) -> Option<(&'static str, String)> {
    files.iter().rev().find_map(|file| {
        let (_, class) = CLASSES.iter().find(|(module, _)| file.contains(module))?;
        Some((*class, file.clone()))
    })
}

/// A class as it is called on the command line, whichever way it was written; foreign ones as they are.
fn plain(class: &str) -> String {
    let class = class.strip_prefix("egg:gunicorn#").unwrap_or(class);
    let path = class.replace('.', "/");
    let known = CLASSES.iter().find(|(module, _)| path.starts_with(module)).map(|(_, known)| *known);
    known.unwrap_or(if class.ends_with("SyncWorker") { "sync" } else { class }).to_owned()
}

fn is_gunicorn(process: &Process) -> bool {
    Command::of(process).is_some_and(|command| NAMES.contains(&command.name()))
}

/// A worker's stack goes through the arbiter, too: it is forked there.
fn is_arbiter(files: &[String]) -> bool {
    let has = |part| files.iter().any(|file| file.contains(part));
    has("gunicorn/arbiter.py") && !has("gunicorn/workers/")
}

/// What Gunicorn writes over the command line where the module `setproctitle` is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GunicornTitle<'a> {
    /// The master's title, with the name of the application, or that of `--name`.
    Master(&'a str),
    Worker,
    /// `dirty-arbiter`, `dirty-worker [app]`
    Other(&'a str),
}

impl<'a> GunicornTitle<'a> {
    fn of(process: &'a Process) -> Option<Self> {
        let title = command::title(process)?.strip_prefix("gunicorn: ")?;
        Some(match title.split_once(" [") {
            // The room for a title is limited: the closing bracket may be lost.
            Some(("master", name)) => Self::Master(name.strip_suffix(']').unwrap_or(name)),
            Some(("worker", _)) => Self::Worker,
            _ => Self::Other(title),
        })
    }
}

#[cfg(test)]
mod tests;

//! uWSGI: a master with workers, mules, spoolers and routers, or a process that does all itself. An Emperor is in no
//! fleet: each of its vassals is one.
//!
//! All of them run the same command, and have titles (`uWSGI worker 1`) only with `--auto-procname` in the binary, not in
//! the Python module. Otherwise sockets tell: mules and spoolers do not hold the workers' sockets, and a router holds its
//! own. Facts are from the sources of uWSGI 2.0.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    fleet::{
        Fleet, bounded,
        command::{Command, is_same},
        options::{CommandOptions, Grammar},
        search::Discovery,
        servers::{PLAIN, Server, design},
    },
    model::worker::Role,
    sys::process::Process,
};

/// What is known of it.
pub static SERVER: Server = Server {
    name: "uwsgi",
    what: "uWSGI, also as a module of Python: workers, mules, spoolers, routers, the vassals of an Emperor",
    recognise,
    waits_for_work: &[
        // As a module of Python: its script calls it, and in it the requests are served.
        ("bin/pyuwsgi", &["<module>"]),
        ("bin/uwsgi", &["<module>"]),
    ],
    // From the sources of uWSGI 2.0.30, and measured by `tests/tests/numbers/idle_servers.rs`.
    idle_design: |role, _, _| match role {
        Role::Master => design(0.9, 1.1, "the master looks after its workers each second"),
        Role::Worker => design(0.0, 0.1, "a worker sleeps until a request comes"),
        Role::Helper => None,
    },
    ..PLAIN
};

/// Options that tell a name or a class, out of over a thousand; flags that are not known show by what follows.
const GRAMMAR: Grammar = Grammar {
    wanted: &[
        "module",
        "wsgi",
        "wsgi-file",
        "file",
        "ini",
        "yaml",
        "yml",
        "json",
        "xml",
        "gevent",
        "asyncio",
        "threads",
        "http",
        "https",
        "master",
        "emperor",
    ],
    letters: &[('w', "module"), ('y', "yaml"), ('j', "json"), ('x', "xml"), ('M', "master")],
    letter_flags: "MTiLC",
    flags: &["master", "enable-threads", "die-on-term", "need-app", "vacuum", "lazy-apps", "mule"],
    abbreviates: false,
};

/// Options that name the application, then those that name a file of options.
const NAMING: [&str; 9] = ["module", "wsgi", "wsgi-file", "file", "ini", "yaml", "yml", "json", "xml"];

/// Ports from here on are usually the kernel's choice, as those of sockets between a router and its workers are.
const FIRST_EPHEMERAL_PORT: u16 = 32_768;

/// A master with its workers, or a worker alone.
fn recognise(process: &Process, discovery: &Discovery<'_>) -> Option<Fleet> {
    let title = UwsgiTitle::of(process);
    if title.is_some_and(|title| title.kind != "master") || (title.is_none() && !is_uwsgi(process)) {
        return None;
    }
    let options = CommandOptions::parse(arguments(process), &GRAMMAR);
    let is_vassal =
        |child: &Process| is_uwsgi(child) && !is_same(child, process) && UwsgiTitle::of(child).is_none();
    if options.has("emperor") || discovery.tree.children(process.tgid).any(is_vassal) {
        return None;
    }
    let name = match title {
        Some(title) if !title.prefix.is_empty() => title.prefix,
        _ => name(&options).unwrap_or("uwsgi"),
    };
    let why = if title.is_some() { "its title says that it is uWSGI's master" } else { "it runs uWSGI" };
    let routers = routers(process, &options, discovery);
    let judge = |child: &Process, shares: Option<bool>| Some(judge(child, process, shares, &routers));
    let fleet = discovery.gather(SERVER.name, name, (process, why.to_owned()), judge)?;
    // It may serve other languages.
    if !fleet.members.iter().any(|member| member.python.is_some() || member.hidden) {
        return None;
    }
    let has_master = title.is_some() || options.has("master");
    let mut fleet = if has_master { fleet } else { fleet.or_alone() };
    let parent = discovery.tree.get(process.ppid);
    if let (Some(emperor), Some(master)) =
        (parent.filter(|parent| is_uwsgi(parent)), fleet.members.first_mut())
    {
        master.evidence.push(format!("it is a vassal of the Emperor {}", emperor.tgid));
    }
    let class = ["gevent", "asyncio", "threads"].into_iter().find(|class| options.has(class));
    if let Some(class) = class {
        fleet.workers_mut().for_each(|worker| worker.is_of_class(class, "its options say so"));
    }
    Some(fleet)
}

/// What a child of the master is.
fn judge(child: &Process, master: &Process, shares: Option<bool>, routers: &BTreeSet<u32>) -> (Role, String) {
    let helper = |why: &str| (Role::Helper, why.to_owned());
    match UwsgiTitle::of(child) {
        Some(title) if title.kind == "worker" => {
            (Role::Worker, "its title says that it is uWSGI's worker".to_owned())
        }
        Some(title) => (Role::Helper, format!("its title says {}", bounded(title.kind))),
        None if !is_same(child, master) => helper("it runs another command than its master"),
        None if shares == Some(false) => {
            helper("it does not hold its master's listening socket, as a mule or a spooler")
        }
        None if routers.contains(&child.tgid) => {
            helper("it holds another listening socket than its siblings, as a router")
        }
        None => (Role::Worker, "its master runs uWSGI, and it runs the same command".to_owned()),
    }
}

/// Children that listen for the workers: `--http` and the like. They hold other sockets than the workers do: those that
/// were named, or that fewer hold, or, of one each, that have the port that was chosen by a person.
fn routers(master: &Process, options: &CommandOptions, discovery: &Discovery<'_>) -> BTreeSet<u32> {
    let mut holders: BTreeMap<Vec<String>, BTreeSet<u32>> = BTreeMap::new();
    for child in discovery.tree.children(master.tgid).filter(|child| is_same(child, master)) {
        let addresses: Vec<_> =
            discovery.listening(child.tgid, master.tgid).unwrap_or_default().into_values().collect();
        if !addresses.is_empty() {
            holders.entry(addresses).or_default().insert(child.tgid);
        }
    }
    let port = |address: &str| address.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    let named: Vec<_> = ["http", "https"].iter().filter_map(|option| port(options.get(option)?)).collect();
    let is_named = |addresses: &[String]| {
        addresses.iter().filter_map(|address| port(address)).any(|port| named.contains(&port))
    };
    let is_ephemeral = |addresses: &[String]| {
        addresses.iter().filter_map(|address| port(address)).any(|port| port >= FIRST_EPHEMERAL_PORT)
    };
    let workers = holders
        .iter()
        .max_by_key(|(addresses, who)| (!is_named(addresses), who.len(), is_ephemeral(addresses)))
        .map(|(_, who)| who.clone())
        .unwrap_or_default();
    holders.into_values().flatten().filter(|child| !workers.contains(child)).collect()
}

/// The application, or the file of options without its folder and its kind.
fn name(options: &CommandOptions) -> Option<&str> {
    let typed = NAMING.iter().find_map(|option| options.get(option));
    let name = typed.or(options.words.first().map(String::as_str))?;
    let file = name.rsplit('/').next().unwrap_or(name);
    let kinds = [".ini", ".yaml", ".yml", ".json", ".xml"];
    Some(kinds.iter().find_map(|kind| file.strip_suffix(kind)).unwrap_or(file))
}

/// True for the binary (`uwsgi-core`, `uwsgi_python3` …) and for the script of the Python module.
fn is_uwsgi(process: &Process) -> bool {
    let is_binary = |name: &str| name.starts_with("uwsgi");
    match Command::of(process) {
        Some(command) => matches!(command.name(), "uwsgi" | "pyuwsgi"),
        None => process.argv.first().is_some_and(|word| is_binary(word.rsplit('/').next().unwrap_or(word))),
    }
}

fn arguments(process: &Process) -> &[String] {
    Command::of(process).map_or(process.argv.get(1..).unwrap_or_default(), |command| command.args)
}

/// `shop uWSGI worker 1`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct UwsgiTitle<'a> {
    /// What `--procname-prefix` put before it.
    prefix: &'a str,
    /// `master`, `worker`, `mule`, `http` …
    kind: &'a str,
}

impl<'a> UwsgiTitle<'a> {
    fn of(process: &'a Process) -> Option<Self> {
        // The rest of the command line is overwritten with blanks.
        let (prefix, title) = process.argv.first()?.split_once("uWSGI ")?;
        Some(Self { prefix: prefix.trim(), kind: title.split_whitespace().next()? })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use crate::fleet::{
        ProcessProbe, discover,
        fixture::{found, host, probe},
    };

    #[test]
    fn by_title() {
        let tree = host(&[
            (2, 1, "'uWSGI master    "),
            (3, 2, "'uWSGI worker 1"),
            (4, 2, "'uWSGI mule 1"),
            (5, 2, "'uWSGI http 1"),
            (6, 1, "'shop uWSGI master"),
            (7, 6, "'shop uWSGI worker 1"),
            (8, 7, "convert"),
        ]);
        assert_eq!(found(&tree, &probe()), ["uwsgi shop: m6 w7 h8", "uwsgi uwsgi: m2 w3 h4 h5"]);
    }

    #[test]
    fn by_command_line_and_sockets() {
        let line = "uwsgi --http 127.0.0.1:80 --mule --master --processes 2 --gevent 100 --module shop:app";
        let tree = host(&[
            (2, 1, line),
            (3, 2, line),
            (4, 2, line),
            (5, 2, line),
            (6, 2, line),
            (7, 2, "logger"),
            (8, 1, "/usr/bin/uwsgi-core --http-socket :81 -w blog"),
            (9, 1, "python /bin/pyuwsgi -M /etc/uwsgi/wiki.ini"),
            (10, 1, "vi uwsgi.ini"),
        ]);
        let sockets = ProcessProbe {
            listeners: |_| {
                HashMap::from([(70, "127.0.0.1:80".to_owned()), (71, "127.0.0.1:40000".to_owned())])
            },
            sockets: |tgid| {
                Some(match tgid {
                    2 => vec![70, 71],
                    3 | 4 => vec![71],
                    5 => vec![70],
                    _ => vec![],
                })
            },
            ..probe()
        };
        let expected =
            ["uwsgi blog: w8", "uwsgi shop:app: m2 w3:gevent w4:gevent h5 h6 h7", "uwsgi wiki: m9"];
        assert_eq!(found(&tree, &sockets), expected);
    }

    #[test]
    fn a_router_that_no_option_names() {
        let line = "uwsgi shop.ini";
        let tree = host(&[(2, 1, line), (3, 2, line), (4, 2, line), (5, 2, line)]);
        let held = |sockets: fn(u32) -> Option<Vec<u64>>| {
            let listeners =
                |_| HashMap::from([(70, "127.0.0.1:80".to_owned()), (71, "127.0.0.1:40000".to_owned())]);
            found(&tree, &ProcessProbe { sockets, listeners, ..probe() })
        };
        let fewer = held(|tgid| {
            Some(match tgid {
                2 => vec![70, 71],
                5 => vec![71],
                _ => vec![70],
            })
        });
        assert_eq!(fewer, ["uwsgi shop: m2 w3 w4 h5"]);
        let one_each = held(|tgid| {
            Some(match tgid {
                2 => vec![70, 71],
                3 => vec![70],
                4 => vec![71],
                _ => vec![],
            })
        });
        assert_eq!(one_each, ["uwsgi shop: m2 w4 h3 h5"]);
    }

    #[test]
    fn vassals_are_fleets() {
        let shop = "uwsgi --ini shop.ini";
        let tree = host(&[
            (2, 1, "uwsgi --emperor /etc/uwsgi"),
            (3, 2, shop),
            (4, 3, shop),
            (5, 1, "uwsgi --ini emperor.ini"),
            (6, 5, "uwsgi --ini blog.ini"),
        ]);
        assert_eq!(found(&tree, &probe()), ["uwsgi blog: w6", "uwsgi shop: m3 w4"]);
        let fleets = discover(&tree, &probe());
        let evidence = &fleets[1].members[0].evidence;
        assert!(evidence.contains(&"it is a vassal of the Emperor 2".to_owned()), "{evidence:?}");
    }

    #[test]
    fn without_python_it_is_no_fleet() {
        let tree = host(&[(2, 1, "uwsgi --php-app shop.php")]);
        let known = ProcessProbe {
            process: |_| {
                let process = crate::fleet::fixture::process(2, 1, "uwsgi --php-app shop.php");
                Some(crate::sys::process::Process { exe: Some("/usr/bin/uwsgi".into()), ..process })
            },
            ..probe()
        };
        assert!(found(&tree, &known).is_empty());
        let python = ProcessProbe { version: |_| Some("3.11.2".to_owned()), ..known };
        assert_eq!(found(&tree, &python), ["uwsgi uwsgi: w2"]);
    }
}

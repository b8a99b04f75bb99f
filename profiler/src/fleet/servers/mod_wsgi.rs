//! `mod_wsgi`'s daemon groups: processes that Apache forks to serve Python applications. Apache itself, which does not run
//! them, is not in the fleet.
//!
//! With the option `display-name` their titles begin with `(wsgi:shop)`, or another name; without it they run Apache's
//! command. They have closed Apache's listening sockets, and listen on one of their own, which Apache made for them:
//! `wsgi.PID.GENERATION.GROUP.sock`. Facts are from the sources of `mod_wsgi` 4.9.

use crate::{
    fleet::{
        Fleet, Member,
        search::Discovery,
        servers::{PLAIN, Server},
    },
    model::worker::Role,
    sys::process::Process,
};

/// What is known of it.
pub static SERVER: Server =
    Server { name: "mod_wsgi", what: "the daemon groups of mod_wsgi", recognise, ..PLAIN };

/// What Apache's binary is called.
const NAMES: [&str; 3] = ["apache2", "httpd", "apache"];

/// The group that a process is in, with the others in it.
fn recognise(process: &Process, discovery: &Discovery<'_>) -> Option<Fleet> {
    let group = DaemonGroup::of(process, discovery)?;
    let mut fleet = Fleet::new(SERVER.name, &group.name);
    let siblings = discovery.tree.children(process.ppid).filter(|sibling| !discovery.is_taken(sibling.tgid));
    for sibling in siblings {
        let Some(same) = DaemonGroup::of(sibling, discovery).filter(|same| same.name == group.name) else {
            continue;
        };
        let mut member = Member::new(sibling, Role::Worker, same.why, discovery.probe);
        let files = (discovery.probe.code_files)(sibling.tgid);
        let module = files.iter().find(|file| file.to_string_lossy().contains("mod_wsgi"));
        member.evidence.extend(module.map(|file| format!("it has {} loaded", file.display())));
        fleet.members.push(member);
        fleet.listening.extend(same.socket);
    }
    fleet.listening.dedup();
    Some(fleet)
}

struct DaemonGroup {
    name: String,
    /// Socket on which the group listens.
    socket: Option<String>,
    why: String,
}

impl DaemonGroup {
    fn of(process: &Process, discovery: &Discovery<'_>) -> Option<Self> {
        let title = process.argv.first()?.trim_end();
        let titled = title.strip_prefix("(wsgi:").map(|title| title.trim_end_matches(')'));
        if titled.is_none() && !is_apache(process) {
            return None;
        }
        // Its parent made the socket, and holds it, too.
        let parents_pid = process.ppid.to_string();
        let is_groups = |address: &String| {
            let mut parts = address.rsplit('.');
            parts.next() == Some("sock") && parts.nth(2) == Some(&parents_pid)
        };
        let socket =
            discovery.listening(process.tgid, process.ppid).unwrap_or_default().into_values().find(is_groups);
        if let Some(name) = titled {
            return Some(Self {
                name: name.to_owned(),
                socket,
                why: format!("its title says (wsgi:{name})"),
            });
        }
        let socket = socket?;
        let file = socket.rsplit('/').next().unwrap_or(&socket).to_owned();
        let parent = discovery.tree.get(process.ppid).and_then(|parent| parent.argv.first());
        let is_named = parent.is_some_and(|parents| parents.trim_end() != title);
        let name = if is_named { title.to_owned() } else { file };
        Some(Self {
            name,
            why: format!("Apache forked it, and it listens on {socket}"),
            socket: Some(socket),
        })
    }
}

fn is_apache(process: &Process) -> bool {
    let file = process.exe.as_deref().and_then(|exe| exe.file_name()).and_then(|name| name.to_str());
    let first = process.argv.first().and_then(|word| word.rsplit('/').next());
    file.or(first).is_some_and(|name| NAMES.contains(&name))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::fleet::{
        ProcessProbe, discover,
        fixture::{host, probe, short},
    };

    #[test]
    fn groups_by_title_and_by_socket() {
        let line = "/usr/sbin/apache2 -k start";
        let tree = host(&[
            (2, 1, line),
            (3, 2, "(wsgi:shop) -k start"),
            (4, 2, "(wsgi:shop) -k start"),
            (5, 2, line),
            (6, 2, line),
            (7, 2, line),
            (8, 1, "/usr/sbin/apache2 -k other"),
        ]);
        let probe = ProcessProbe {
            version: |_| Some("3.11.2".to_owned()),
            listeners: |_| {
                let wsgi = |group: u32| format!("unix:/run/wsgi.2.0.{group}.sock");
                [(70, "[::]:80".to_owned()), (71, wsgi(1)), (72, wsgi(2))].into()
            },
            sockets: |tgid| {
                Some(match tgid {
                    2 => vec![70, 71, 72],
                    3 | 4 => vec![71],
                    5 | 6 => vec![72],
                    _ => vec![70],
                })
            },
            code_files: |_| vec![PathBuf::from("/usr/lib/mod_wsgi.so-3.11")],
            ..probe()
        };
        let fleets = discover(&tree, &probe);
        let seen: Vec<_> = fleets.iter().map(short).collect();
        assert_eq!(seen, ["mod_wsgi shop: w3 w4", "mod_wsgi wsgi.2.0.2.sock: w5 w6"]);
        assert_eq!(fleets[0].listening, ["unix:/run/wsgi.2.0.1.sock"]);
        let evidence = ["its title says (wsgi:shop)", "it has /usr/lib/mod_wsgi.so-3.11 loaded"];
        assert_eq!(fleets[0].members[0].evidence, evidence);
    }
}

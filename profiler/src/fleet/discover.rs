//! Finds all fleets of the host in one scan.

use crate::fleet::{Fleet, ProcessProbe, Tree, search::Discovery, servers::SERVERS};

/// Finds all fleets, by server and name.
#[must_use]
pub fn discover(tree: &Tree, probe: &ProcessProbe) -> Vec<Fleet> {
    let mut discovery = Discovery::new(tree, probe);
    let mut fleets = Vec::new();
    for server in SERVERS {
        for process in tree.iter() {
            if discovery.is_taken(process.tgid) {
                continue;
            }
            if let Some(mut fleet) = (server.recognise)(process, &discovery) {
                fleet.number_workers();
                discovery.take(&fleet);
                fleets.push(fleet);
            }
        }
    }
    let lead = |fleet: &Fleet| fleet.members.first().map(|member| member.tgid);
    fleets.sort_by(|one, other| {
        (&one.server, &one.name, lead(one)).cmp(&(&other.server, &other.name, lead(other)))
    });
    fleets
}

//! All fleets on the host, from one scan.

use crate::fleet::{Eyes, Fleet, Tree, search::Search, servers::SERVERS};

/// Finds all fleets, by server and name.
#[must_use]
pub fn discover(tree: &Tree, eyes: &Eyes) -> Vec<Fleet> {
    let mut search = Search::new(tree, eyes);
    let mut fleets = Vec::new();
    for server in SERVERS {
        for process in tree.iter() {
            if search.is_taken(process.tgid) {
                continue;
            }
            if let Some(mut fleet) = (server.recognise)(process, &search) {
                fleet.number_workers();
                search.take(&fleet);
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

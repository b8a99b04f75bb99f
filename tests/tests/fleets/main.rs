//! Which processes are workers, and who joins them.

mod crowd;
mod first_threads;
mod late_python;
mod launchers;
mod lives;
mod newcomers;
mod odd_targets;
mod only_the_asked;
mod orphans;
mod ps;
mod ps_queues;
mod ps_servers;
mod record_fleet;
mod successors;

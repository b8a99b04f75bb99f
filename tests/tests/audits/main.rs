//! Audits of servers.

mod audit;
mod audit_ends;

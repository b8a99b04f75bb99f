//! What each verb prints, writes and refuses.

mod compare;
mod doctor;
mod dump;
mod outputs;
mod record_command;
mod refusals;
mod refused_programs;
mod report_html;

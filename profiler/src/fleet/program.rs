//! Servers that are a Python program with options of its own: found by the command line, or by the stack where
//! another program calls them.

use crate::{
    fleet::{
        command::{self, Command},
        options::{CommandOptions, Grammar},
        search::Discovery,
    },
    sys::process::Process,
};

/// How a server's program is recognised.
#[derive(Clone, Copy, Debug)]
pub struct ServerProgram {
    /// What it is called as a script and as a module.
    pub names: &'static [&'static str],
    /// How its options are written.
    pub grammar: Grammar,
    /// Parts of paths that the main thread's Python stack goes through while it serves.
    pub stack: &'static [&'static str],
}

/// The first process of a running server.
#[derive(Clone, Debug)]
pub struct FoundServer {
    /// What it was told.
    pub options: CommandOptions,
    /// The program that calls it, if it is not run itself.
    pub caller: Option<String>,
    /// What decided, in a sentence.
    pub why: String,
}

impl ServerProgram {
    /// Recognises whether a process is the server's first.
    #[must_use]
    pub fn find(&self, process: &Process, discovery: &Discovery<'_>) -> Option<FoundServer> {
        let command = Command::of(process)?;
        if self.names.contains(&command.name()) {
            let why = format!("its command line runs {}", command.name());
            return Some(FoundServer {
                options: CommandOptions::parse(command.args, &self.grammar),
                caller: None,
                why,
            });
        }
        let file = discovery.runs(process, self.stack)?;
        let caller = Some(command::name(process).to_owned());
        Some(FoundServer {
            options: CommandOptions::default(),
            caller,
            why: format!("its Python stack is in {file}"),
        })
    }
}

impl FoundServer {
    /// The fleet's name: the word that tells the application, or the program that calls the server.
    #[must_use]
    pub fn name<'f>(&'f self, server: &'f str) -> &'f str {
        self.caller.as_deref().or(self.options.words.first().map(String::as_str)).unwrap_or(server)
    }
}

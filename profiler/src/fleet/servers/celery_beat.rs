//! Celery's scheduler, where it runs by itself: `celery beat`. Below a worker it is that one's helper.

use crate::{
    fleet::{
        Fleet,
        command::Command,
        options::{self, CommandOptions},
        relation,
        search::Discovery,
        servers::{
            PLAIN, Server,
            celery::{CeleryTitle, GRAMMAR, NAMES},
        },
    },
    model::worker::Role,
    sys::process::Process,
};

/// What is known of it. Where it waits, Celery's row has.
pub static SERVER: Server =
    Server { name: "celery-beat", what: "Celery's scheduler, `celery beat`, by itself", recognise, ..PLAIN };

/// A scheduler alone.
fn recognise(process: &Process, discovery: &Discovery<'_>) -> Option<Fleet> {
    let (options, why) = match CeleryTitle::of(process) {
        Some(CeleryTitle::Beat { arguments }) => {
            let options = CommandOptions::parse(&options::split(arguments), &GRAMMAR);
            (options, "its title says that it is Celery's scheduler")
        }
        Some(_) => return None,
        None => {
            let command = Command::of(process).filter(|command| NAMES.contains(&command.name()))?;
            let options = CommandOptions::parse(command.args, &GRAMMAR);
            options.words.iter().find(|word| *word == "beat")?;
            (options, "its command line runs Celery's scheduler")
        }
    };
    // It forks nobody.
    let judge = |child: &Process, _| Some((Role::Helper, relation::part_of(child, process).1));
    let name = options.get("app").unwrap_or("celery");
    Some(discovery.gather(SERVER.name, name, (process, why.to_owned()), judge)?.or_alone())
}

#[cfg(test)]
mod tests {
    use crate::fleet::fixture::{found, host, probe};

    #[test]
    fn by_command_line_and_by_title() {
        let tree = host(&[
            (2, 1, "python /bin/celery -A shop -q beat -s /run/schedule"),
            (3, 1, "'[celery beat] --app=blog beat -l info"),
            (4, 1, "'[celery beat]"),
            (5, 1, "'[celeryd: a@host:MainProcess] -active- (worker -A wiki -B)"),
            (6, 5, "'[celery beat]"),
            (7, 1, "python /bin/celery -A shop report"),
            (8, 1, "vim celery beat"),
        ]);
        let expected =
            ["celery wiki: w5 h6", "celery-beat blog: w3", "celery-beat celery: w4", "celery-beat shop: w2"];
        assert_eq!(found(&tree, &probe()), expected);
    }
}

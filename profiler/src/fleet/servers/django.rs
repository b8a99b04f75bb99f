//! Django's development server, `manage.py runserver`: a process that serves, below a parent that starts it again when
//! files change; with `--noreload` it is alone.
//!
//! Its settings module is in the environment that the child was started with. Facts are from the sources of Django 5.2.

use std::{iter, path::Path};

use crate::{
    fleet::{
        Fleet,
        command::{self, Command},
        options::Grammar,
        program::{FoundServer, ServerProgram},
        search::Discovery,
        servers::{PLAIN, Server, reloader},
    },
    sys::process::Process,
};

/// What is known of it.
pub static SERVER: Server = Server {
    name: "django",
    what: "Django's `manage.py runserver`",
    recognise,
    // Its loop that looks for changed files; its other thread is a server of the standard library.
    waits_for_work: &[("django/utils/autoreload.py", &["tick"])],
    idle_design: reloader::idle_design,
    ..PLAIN
};

const DJANGO: ServerProgram = ServerProgram {
    names: &["manage.py", "django-admin", "django"],
    grammar: Grammar {
        wanted: &["settings"],
        letters: &[],
        letter_flags: "6",
        flags: &[
            "force-color",
            "insecure",
            "ipv6",
            "no-color",
            "noreload",
            "nostatic",
            "nothreading",
            "skip-checks",
            "traceback",
        ],
        abbreviates: true,
    },
    stack: &["django/core/management/commands/runserver.py"],
};

/// A reloader with the process that serves, or that one alone.
fn recognise(process: &Process, discovery: &Discovery<'_>) -> Option<Fleet> {
    let found = DJANGO.find(process, discovery)?;
    if found.caller.is_none() && found.options.words.first()? != "runserver" {
        return None;
    }
    let name = project(&found, process, discovery).or_else(|| folder(process));
    let name = name.unwrap_or_else(|| command::name(process).to_owned());
    reloader::gather(&SERVER, &name, (process, found.why), discovery)
}

/// The package that the settings are in: `mysite` of `mysite.settings`.
fn project(found: &FoundServer, process: &Process, discovery: &Discovery<'_>) -> Option<String> {
    let children = discovery.tree.children(process.tgid).map(|child| child.tgid);
    let mut processes = iter::once(process.tgid).chain(children);
    let settings = found.options.get("settings").map(str::to_owned);
    let settings = settings
        .or_else(|| processes.find_map(|tgid| (discovery.probe.environ)(tgid, "DJANGO_SETTINGS_MODULE")))?;
    let package = settings.split_once(".settings").map_or(&*settings, |(package, _)| package);
    (!package.is_empty()).then(|| package.to_owned())
}

/// The folder of `manage.py`, if the command line tells it.
fn folder(process: &Process) -> Option<String> {
    let script = Path::new(Command::of(process)?.program()?);
    let folder = script.parent().filter(|_| script.ends_with("manage.py"))?;
    Some(folder.file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use crate::fleet::{
        ProcessProbe,
        fixture::{found, host, probe},
    };

    #[test]
    fn a_reloader_and_its_child() {
        let tree = host(&[
            (2, 1, "python manage.py runserver --skip-checks 8000"),
            (3, 2, "/venv/bin/python manage.py runserver --skip-checks 8000"),
            (4, 3, "npm"),
            (5, 1, "python -m django runserver --noreload --settings=blog.settings.local"),
            (6, 1, "python /srv/wiki/manage.py runserver -6"),
            (7, 1, "python manage.py runserver --noreload"),
            (8, 1, "python /bin/django-admin runserver"),
        ]);
        let environ = |tgid, _: &str| (tgid == 3).then(|| "shop.settings".to_owned());
        let expected = [
            "django blog: w5",
            "django django-admin: w8",
            "django manage.py: w7",
            "django shop: m2 w3 h4",
            "django wiki: w6",
        ];
        assert_eq!(found(&tree, &ProcessProbe { environ, ..probe() }), expected);
    }

    #[test]
    fn what_is_no_server() {
        let tree = host(&[
            (2, 1, "vim manage.py runserver"),
            (3, 1, "python manage.py migrate"),
            (4, 1, "python manage.py"),
            (5, 1, "python edit.py manage.py runserver"),
        ]);
        assert!(found(&tree, &probe()).is_empty());
    }

    #[test]
    fn called_by_another_program() {
        let tree = host(&[(2, 1, "python shop.py serve"), (3, 2, "/venv/bin/python shop.py serve")]);
        let peek = |_| Some(vec!["/lib/django/core/management/commands/runserver.py".to_owned()]);
        assert_eq!(found(&tree, &ProcessProbe { peek, ..probe() }), ["django shop.py: m2 w3"]);
    }
}

//! Airflow's services, each a fleet of its own: `airflow scheduler`, `webserver`, `api-server`, `triggerer`, `dag-processor`
//! and `celery worker`. Those that are Gunicorn or Celery inside are found as such once they are that.
//!
//! Where the module `setproctitle` is installed, what a service forks is titled `airflow worker -- LocalExecutor: <idle>` or
//! `airflow scheduler -- DagFileProcessorManager`, and the API's server `airflow api_server -- host:0.0.0.0 port:8080`. Facts
//! are from the sources of Airflow 2.10 and 3.1; it is too large to be run by the tests.

use crate::{
    fleet::{
        Fleet, bounded,
        command::{self, Command},
        relation,
        search::Discovery,
        servers::{PLAIN, Server},
    },
    model::worker::Role,
    sys::process::Process,
};

/// What is known of it.
pub static SERVER: Server = Server {
    name: "airflow",
    what: "Airflow's scheduler, webserver, API server, triggerer, DAG processor and Celery worker",
    recognise,
    ..PLAIN
};

/// What the services are called on the command line.
const SERVICES: [&str; 6] =
    ["api-server", "celery worker", "dag-processor", "scheduler", "triggerer", "webserver"];

/// A service with the processes that it forked, or alone.
fn recognise(process: &Process, discovery: &Discovery<'_>) -> Option<Fleet> {
    let (service, why) = service(process)?;
    // The webserver watches over a Gunicorn, which has a fleet of its own.
    if service == "webserver"
        && discovery.tree.children(process.tgid).any(|child| discovery.is_taken(child.tgid))
    {
        return None;
    }
    let judge = |child: &Process, _| Some(judge(child, process));
    Some(discovery.gather(SERVER.name, service, (process, why.to_owned()), judge)?.or_alone())
}

/// Which service a process is, and what tells it.
fn service(process: &Process) -> Option<(&'static str, &'static str)> {
    if command::title(process).is_some_and(|title| title.starts_with("airflow api_server -- ")) {
        return Some((SERVICES[0], "its title says that it is Airflow's API server"));
    }
    let command = Command::of(process).filter(|command| command.name() == "airflow")?;
    let is_told = |service: &&&str| {
        let mut words = command.args.iter();
        service.split(' ').all(|word| words.next().is_some_and(|typed| typed == word))
    };
    Some((SERVICES.iter().find(is_told)?, "its command line runs a service of Airflow"))
}

/// What a child of a service is.
fn judge(child: &Process, service: &Process) -> (Role, String) {
    let title = command::title(child).and_then(|title| title.strip_prefix("airflow "));
    let Some(title) = title else { return relation::part_of(child, service) };
    let role = if title.starts_with("worker -- ") { Role::Worker } else { Role::Helper };
    (role, format!("its title says {}", bounded(title)))
}

#[cfg(test)]
mod tests {
    use crate::fleet::fixture::{found, host, probe};

    #[test]
    fn services_by_command_line() {
        let scheduler = "python /venv/bin/airflow scheduler";
        let processor = "python -m airflow dag-processor -v";
        let tree = host(&[
            (2, 1, scheduler),
            (3, 2, "'airflow scheduler -- DagFileProcessorManager"),
            (4, 2, "'airflow worker -- LocalExecutor: <idle>"),
            (5, 2, "'airflow worker -- LocalExecutor: shop"),
            (6, 2, "'airflow serve-logs"),
            (7, 1, processor),
            (8, 7, processor),
            (9, 1, "python /venv/bin/airflow triggerer"),
            (10, 1, "python /venv/bin/airflow celery worker -q mails"),
        ]);
        let expected = [
            "airflow celery worker: w10",
            "airflow dag-processor: m7 w8",
            "airflow scheduler: m2 w4 w5 h3 h6",
            "airflow triggerer: w9",
        ];
        assert_eq!(found(&tree, &probe()), expected);
    }

    #[test]
    fn servers_inside() {
        let tree = host(&[
            (2, 1, "python /venv/bin/airflow webserver"),
            (3, 2, "gunicorn: master [airflow-webserver]"),
            (4, 3, "gunicorn: worker [airflow-webserver]"),
            (5, 1, "python /venv/bin/airflow webserver"),
            (6, 1, "'airflow api_server -- host:0.0.0.0 port:8080"),
            (7, 6, "python -c spawn_main --multiprocessing-fork"),
            (8, 1, "'[celeryd: celery@host:MainProcess] -active- (celery worker)"),
        ]);
        let expected = [
            "airflow api-server: m6 w7",
            "airflow webserver: w5",
            "celery celery@host: w8",
            "gunicorn airflow-webserver: m3 w4",
        ];
        assert_eq!(found(&tree, &probe()), expected);
    }

    #[test]
    fn what_is_no_service() {
        let tree = host(&[
            (2, 1, "python /venv/bin/airflow db migrate"),
            (3, 1, "python /venv/bin/airflow"),
            (4, 1, "python /venv/bin/airflow celery flower"),
            (5, 1, "vim airflow scheduler"),
            (6, 1, "'airflow scheduler -- DagFileProcessorManager"),
        ]);
        assert!(found(&tree, &probe()).is_empty());
    }
}

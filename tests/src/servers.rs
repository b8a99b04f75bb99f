//! Real servers, from the virtual environment that `cargo xtask test` makes, and what is known of those that idle.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::NamedTempFile;

use crate::{gunicorn::venv, punchclock::counter, wait_for, workload};

/// A server and its children, on an application of `workloads/`; gone when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    log: NamedTempFile,
    port: u16,
}

impl Server {
    /// Starts a program of the virtual environment, or one with a whole path, and waits until it has said something so many times. `{port}` in
    /// its arguments stands for a free port.
    #[must_use]
    pub fn start(program: &str, arguments: &[&str], (word, times): (&str, usize)) -> Self {
        Self::start_with(program, arguments, (word, times), &[])
    }

    /// Starts a server with some environment variables.
    #[must_use]
    pub fn start_with(
        program: &str,
        arguments: &[&str],
        (word, times): (&str, usize),
        environment: &[(&str, &str)],
    ) -> Self {
        let port = free_port();
        let log = NamedTempFile::new().expect("there is room for a file");
        let output = || {
            let file = OpenOptions::new().append(true).open(log.path());
            Stdio::from(file.expect("it was just made"))
        };
        let mut command = Command::new(venv().join("bin").join(program));
        command
            .args(arguments.iter().map(|argument| argument.replace("{port}", &port.to_string())))
            .current_dir(crate::workloads())
            .env("PYTHONPATH", ".")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output());
        let child = workload::bound_to_us(&mut command)
            .spawn()
            .unwrap_or_else(|error| panic!("{program} is in the virtual environment: {error}"));
        let mut server = Self { child, log, port };
        wait_for(program, || {
            let log = server.said();
            let ended = server.child.try_wait().expect("it is our child");
            assert!(ended.is_none(), "{program} ended: {log}");
            log.matches(word).count() >= times
        });
        server
    }

    /// The PID of its first process.
    #[must_use]
    pub fn master(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens, on the loopback interface.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What it has said so far.
    #[must_use]
    pub fn said(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap_or_default()
    }

    /// The PIDs that it has said behind these words, oldest first.
    #[must_use]
    pub fn said_tgids(&self, words: &str) -> Vec<u32> {
        let said = self.said();
        let behind = said.split(words).skip(1);
        let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
        behind.filter_map(|text| digits(text).parse().ok()).collect()
    }

    /// The body of its answer to a request.
    #[must_use]
    pub fn ask(&self, path: &str) -> String {
        let ask = || -> io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = ask().unwrap_or_else(|error| panic!("no answer to {path}: {error}"));
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains(" 200 "), "{path}: {answer}");
        body.to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        workload::kill(self.child.id(), libc::SIGKILL);
        // It is dead by now; collecting it cannot fail in a way that matters.
        let _ = self.child.wait();
    }
}

/// A server of HTTP that takes its time for each answer, as long as the tests run; its URL.
#[must_use]
pub fn slow(time: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback interface has a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // A client that leaves early has failed its test already.
            let _ = stream.read(&mut [0; 4096]);
            thread::sleep(time);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nslow");
        }
    });
    format!("http://{address}/")
}

/// Panics unless a worker or a thread waited all the time, and at least 99 % of that for work.
pub fn assert_idle(of: &Value, who: &str) {
    assert!(is_idle(of), "{who} is busy, or waits for other things than work: {of:#}");
}

/// True of a worker or a thread that waited all the time, and at least 99 % of that for work.
#[must_use]
pub fn is_idle(of: &Value) -> bool {
    let (blocked, idle) = (counter(of, "blocked_ns"), counter(&of["blocked_by"]["idle"], "ns"));
    blocked > 0 && blocked > 9 * counter(of, "on_cpu_ns") && idle * 100 >= blocked * 99
}

/// True of a thread that did nothing but park: a library's, which nobody gives work.
#[must_use]
pub fn is_parked(thread: &Value) -> bool {
    let parked = counter(&thread["blocked_by"]["parked"], "ns");
    parked != 0 && parked == counter(thread, "blocked_ns")
}

/// A port that nobody listens on.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback interface has a free port");
    listener.local_addr().expect("it is bound").port()
}

//! What a server answers to the load generator.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixListener,
    sync::{
        Arc, LazyLock, Mutex,
        mpsc::{self, Sender},
    },
    thread,
    time::Duration,
};

use profiler::load::{TargetUrl, first_answer};
use signal_hook::{consts::SIGPIPE, flag};
use tokio::runtime::{Builder, Runtime};

use crate::targets::show;

/// So little that a bad answer is not asked for again.
const WITHIN: Duration = Duration::from_millis(10);

/// A server that gives each answer once, and who asks it.
struct Server {
    answers: Mutex<Sender<Vec<u8>>>,
    target: TargetUrl,
    client: Runtime,
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    // Who writes to somebody that has gone is told by an error only.
    flag::register(SIGPIPE, Arc::default()).expect("a signal can be heard");
    let path = env::temp_dir().join("answers.sock");
    // Of the last run.
    fs::remove_file(&path).unwrap_or_default();
    let listener = UnixListener::bind(&path).expect("it can listen");
    let (answers, asked) = mpsc::channel::<Vec<u8>>();
    let serve = move || {
        for answer in asked {
            let (mut stream, _) = listener.accept().expect("somebody asks");
            // To close with a question unread is to reset.
            let question = BufReader::new(&stream).lines().map_while(Result::ok);
            question.take_while(|line| !line.is_empty()).for_each(drop);
            // The client may have heard enough.
            let _ = stream.write_all(&answer);
        }
    };
    thread::spawn(serve);
    let target = TargetUrl::parse(&format!("unix:{}:/", path.display())).expect("it is a URL");
    let client = Builder::new_current_thread().enable_all().build().expect("it can wait");
    Server { answers: Mutex::new(answers), target, client }
});

pub fn run(input: &[u8]) {
    let Server { answers, target, client } = &*SERVER;
    answers.lock().expect("nobody panicked").send(input.to_vec()).expect("it serves");
    match client.block_on(first_answer(target, WITHIN)) {
        Ok(status) => assert!((100..1000).contains(&status), "{status}"),
        Err(error) => show([&format!("{error:#}")]),
    }
}

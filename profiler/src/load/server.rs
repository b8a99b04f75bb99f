//! A test server, which answers as it is told and counts what it sees.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use super::target::TargetUrl;

/// What is done to a request.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Answers this status, with a body of ten bytes in two pieces.
    Answer(u16),
    /// Answers, says in the head that the connection is closed, and closes it.
    LastAnswer,
    /// Answers and closes the connection without saying so.
    LastAnswerUnsaid,
    /// Two that only announce one, then 200.
    Announce,
    /// Nothing until so many requests are here at once, then 200.
    Gather(u64),
    /// Nobody is answered for so long, then 200.
    Stall(Duration),
    /// No answer.
    Ignore,
    /// Half an answer.
    CloseEarly,
    /// The connection is cut off.
    Reset,
    /// What is not HTTP.
    Babble,
}

/// What to do to the n-th request, from 0.
pub type Behaviour = fn(u64) -> Act;

/// What the test server has counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerCounts {
    pub connections: u64,
    pub requests: u64,
    /// Requests in the server now.
    pub busy: u64,
    /// Most requests that were in the server at once.
    pub busy_max: u64,
}

/// The server; its threads live until the tests end.
pub struct TestServer {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    act: Behaviour,
    seen: Mutex<ServerCounts>,
    news: Condvar,
    /// Held by who stalls all.
    floor: Mutex<()>,
}

impl TestServer {
    pub fn start(act: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared =
            Arc::new(Shared { act, seen: Mutex::default(), news: Condvar::new(), floor: Mutex::default() });
        let server = Self { address, shared: Arc::clone(&shared) };
        thread::spawn(move || {
            for stream in listener.incoming() {
                shared.see().connections += 1;
                let shared = Arc::clone(&shared);
                // A client that goes away ends its connection, and that only.
                thread::spawn(move || shared.serve(&stream.unwrap()));
            }
        });
        server
    }

    pub fn target(&self) -> TargetUrl {
        TargetUrl::parse(&format!("http://{}/page?q=1", self.address)).unwrap()
    }

    pub fn seen(&self) -> ServerCounts {
        *self.shared.see()
    }
}

impl Shared {
    fn see(&self) -> MutexGuard<'_, ServerCounts> {
        self.seen.lock().unwrap()
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (mut input, mut output) = (BufReader::new(stream), stream);
        loop {
            if stream.peek(&mut [0])? == 0 {
                return Ok(());
            }
            let mut seen = self.see();
            let act = (self.act)(seen.requests);
            seen.requests += 1;
            seen.busy += 1;
            seen.busy_max = seen.busy_max.max(seen.busy);
            self.news.notify_all();
            if let Act::Gather(many) = act {
                drop(self.news.wait_while(seen, |seen| seen.busy_max < many).unwrap());
            } else {
                drop(seen);
            }
            // With a request unread, the kernel says goodbye with RST.
            if !matches!(act, Act::Reset) {
                let lines = input.by_ref().lines().map_while(Result::ok);
                let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
                assert_eq!(head[0], "GET /page?q=1 HTTP/1.1");
            }
            let floor = self.floor.lock().unwrap();
            if let Act::Stall(time) = act {
                thread::sleep(time);
            }
            drop(floor);
            self.see().busy -= 1;
            let answer = |mut output: &TcpStream, status: u16, head: &str| {
                write!(output, "HTTP/1.1 {status} X\r\nContent-Length: 10\r\n{head}\r\n12345")?;
                output.write_all(b"67890")
            };
            match act {
                Act::Answer(status) => answer(output, status, "")?,
                Act::Announce => {
                    output.write_all(b"HTTP/1.1 100 X\r\n\r\nHTTP/1.1 103 X\r\nLink: </a>\r\n\r\n")?;
                    answer(output, 200, "")?;
                }
                Act::Gather(_) | Act::Stall(_) => answer(output, 200, "")?,
                Act::LastAnswer => return answer(output, 200, "Connection: close\r\n"),
                Act::LastAnswerUnsaid => return answer(output, 200, ""),
                Act::Ignore => {}
                Act::Reset => return Ok(()),
                Act::CloseEarly => {
                    return output.write_all(b"HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\n12345");
                }
                Act::Babble => return output.write_all(b"SSH-2.0-OpenSSH_9.2\r\n"),
            }
        }
    }
}

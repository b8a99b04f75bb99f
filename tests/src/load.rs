//! Load for a web server on loopback: clients that ask, one request a connection, until they are dropped.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Clients at work.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts so many clients.
    #[must_use]
    pub fn start(port: u16, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    // A worker that is killed, or ends after its last request, drops a connection now and then.
                    if get(port).is_err() {
                        thread::sleep(Duration::from_millis(10));
                    }
                }
            })
        };
        Self { clients: (0..clients).map(client).collect(), stop }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            // A client that panicked has said so, and there is nothing to undo.
            let _ = client.join();
        }
    }
}

/// One request, answered to its end: HTTP/1.0 closes the connection after it.
pub fn get(port: u16) -> io::Result<String> {
    get_path(port, "/")
}

/// Asks for a path once and returns the answer.
pub fn get_path(port: u16, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

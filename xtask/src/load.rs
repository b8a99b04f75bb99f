//! Load for a web server on loopback: a few clients, one request a connection, one after the other.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Clients that ask until they are dropped.
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts `clients` threads that request `/` from `server`.
    pub fn start(server: SocketAddr, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if !get(server).is_ok_and(|answer| is_success(&answer)) {
                        // A server that went away must not make us spin.
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
pub fn get(server: SocketAddr) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// Whether an answer is the page that was asked for.
pub fn is_success(answer: &[u8]) -> bool {
    answer.starts_with(b"HTTP/1.0 200")
}

//! An HTTP client that keeps its connection, if it may.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use http_body_util::{BodyExt, Empty};
use hyper::{
    Request,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::{
    request_error::RequestError,
    target::{Endpoint, TargetUrl},
};

type Question = Request<Empty<Bytes>>;

/// The request that every client of a load sends, and how.
pub struct RequestTemplate {
    question: Question,
    endpoint: Endpoint,
    /// Which of the endpoint's addresses answered last: a name may have more than the server listens on.
    address: Cell<usize>,
    keep_alive: bool,
    timeout: Duration,
}

impl RequestTemplate {
    pub fn new(target: &TargetUrl, keep_alive: bool, timeout: Duration) -> Self {
        let mut question = Request::new(Empty::new());
        *question.uri_mut() = target.page.clone();
        let headers = question.headers_mut();
        // What a URL may have for a host, a header may have.
        headers.extend(target.host.parse().map(|host| (header::HOST, host)));
        headers.insert(
            header::USER_AGENT,
            header::HeaderValue::from_static(concat!("punchclock/", env!("CARGO_PKG_VERSION"))),
        );
        headers.insert(header::ACCEPT, header::HeaderValue::from_static("*/*"));
        if !keep_alive {
            headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        }
        Self { question, endpoint: target.endpoint.clone(), address: Cell::new(0), keep_alive, timeout }
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, RequestError> {
        let addresses = match &self.endpoint {
            Endpoint::Unix(path) => {
                return match UnixStream::connect(path).await {
                    Ok(stream) => Ok(Box::new(stream)),
                    Err(error) => Err(RequestError::of_io(&error)),
                };
            }
            Endpoint::Tcp(addresses) => addresses,
        };
        let mut request_error = RequestError::Refused;
        for _ in addresses {
            match TcpStream::connect(addresses[self.address.get()]).await {
                Ok(stream) => {
                    // A request is one write; nothing is to be waited for.
                    stream.set_nodelay(true).map_err(|error| RequestError::of_io(&error))?;
                    return Ok(Box::new(stream));
                }
                Err(error) => request_error = RequestError::of_io(&error),
            }
            self.address.set((self.address.get() + 1) % addresses.len());
        }
        Err(request_error)
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// What became of a request.
pub struct Outcome {
    /// The answer's status, from 200 to 399, or what went wrong.
    pub answer: Result<u16, RequestError>,
    /// True if the request was sent twice: the kept connection that it went to first was closed without a word of answer.
    pub resent: bool,
}

/// A client and its connection, if it has one.
#[derive(Default)]
pub struct Client(Option<Connection>);

impl Client {
    /// Sends a request and reads the answer, connecting first if need be.
    ///
    /// A server may close a kept connection at any time, also while the next request is on its way to it. So a
    /// request that a kept connection does not answer by a single byte is sent once more, on a new one, as RFC 9112
    /// (section 9.3.1) lets clients do.
    pub async fn ask(&mut self, template: &RequestTemplate) -> Outcome {
        let mut resent = false;
        // A future that runs out of time is dropped, and with it the connection.
        let kept = self.0.take();
        let answer = timeout(template.timeout, async {
            if let Some(mut connection) = kept
                && connection.ready().await.is_ok()
            {
                match connection.ask(&template.question).await {
                    Err(RequestError::ClosedEarly | RequestError::Reset) if !connection.answers => {
                        resent = true;
                    }
                    answer => return answer.map(|status| (status, connection)),
                }
            }
            let mut connection = Connection::new(template.connect().await?).await?;
            connection.ready().await?;
            let status = connection.ask(&template.question).await?;
            Ok((status, connection))
        });
        let answer = match answer.await {
            Err(_) => Err(RequestError::Timeout),
            Ok(Err(request_error)) => Err(request_error),
            Ok(Ok((status, connection))) => {
                self.0 = Some(connection).filter(|connection| template.keep_alive && !connection.over);
                // What announces an answer, hyper waits behind; to switch protocols, nobody asked.
                if (200..400).contains(&status) { Ok(status) } else { Err(RequestError::Status(status)) }
            }
        };
        Outcome { answer, resent }
    }
}

/// A connection and its driver, which is polled by whoever waits for an answer, so that no second task needs to be woken.
struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    driver: http1::Connection<TokioIo<Box<dyn Stream>>, Empty<Bytes>>,
    /// The driver has ended: the connection is closed.
    over: bool,
    /// The head of an answer to the last request has come.
    answers: bool,
}

impl Connection {
    async fn new(stream: Box<dyn Stream>) -> Result<Self, RequestError> {
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, driver) = handshake.map_err(|error| RequestError::of_http(&error))?;
        Ok(Self { sender, driver, over: false, answers: false })
    }

    /// Waits until a request can be sent; finds out if the connection was closed meanwhile.
    async fn ready(&mut self) -> Result<(), RequestError> {
        drive(&mut self.driver, &mut self.over, self.sender.ready()).await
    }

    /// The status, when the whole answer has come.
    async fn ask(&mut self, question: &Question) -> Result<u16, RequestError> {
        self.answers = false;
        let (sent, answers) = (self.sender.send_request(question.clone()), &mut self.answers);
        let exchange = async {
            let answer = sent.await?;
            *answers = true;
            let status = answer.status().as_u16();
            let mut body = answer.into_body();
            while let Some(frame) = body.frame().await {
                frame?;
            }
            Ok(status)
        };
        drive(&mut self.driver, &mut self.over, exchange).await
    }
}

/// Waits for a future that the driver brings about.
async fn drive<T>(
    driver: &mut (impl Future + Unpin),
    over: &mut bool,
    thing: impl Future<Output = hyper::Result<T>>,
) -> Result<T, RequestError> {
    let mut thing = pin!(thing);
    poll_fn(|cx| {
        // How the driver ends, the future that is waited for learns as well.
        *over = *over || Pin::new(&mut *driver).poll(cx).is_ready();
        match thing.as_mut().poll(cx) {
            Poll::Pending if *over => Poll::Ready(Err(RequestError::ClosedEarly)),
            result => result.map_err(|error| RequestError::of_http(&error)),
        }
    })
    .await
}

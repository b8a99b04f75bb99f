//! Parses the URL that a load generator asks for.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
};

use anyhow::{Context, Result, bail, ensure};
use hyper::Uri;

/// The URL that is asked for.
#[derive(Clone, Debug)]
pub struct TargetUrl {
    url: String,
    pub(super) endpoint: Endpoint,
    /// The value of the `Host` header.
    pub(super) host: String,
    /// Path and query.
    pub(super) page: Uri,
}

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// The addresses of its name, at least one.
    Tcp(Vec<SocketAddr>),
    Unix(PathBuf),
}

impl TargetUrl {
    /// From `http://host[:port][/page]` or `unix:/path/of.sock[:/page]`. The name is looked up now, which may block.
    pub fn parse(url: &str) -> Result<Self> {
        let context = || format!("failed to read the URL `{url}`");
        let (endpoint, host, page) = match url.strip_prefix("unix:") {
            Some(socket) => unix(socket),
            None => tcp(url),
        }
        .with_context(context)?;
        let page = page.parse().with_context(context)?;
        Ok(Self { url: url.to_owned(), endpoint, host, page })
    }

    /// The text it was made of.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn unix(socket: &str) -> Result<(Endpoint, String, String)> {
    let (path, page) = socket.split_once(":/").unwrap_or((socket, ""));
    ensure!(path.starts_with('/'), "`unix:` wants the absolute path of a socket");
    Ok((Endpoint::Unix(path.into()), "localhost".to_owned(), format!("/{page}")))
}

fn tcp(url: &str) -> Result<(Endpoint, String, String)> {
    let uri: Uri = url.parse()?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => bail!("TLS is not spoken: ask the server behind it"),
        _ => bail!("it does not begin with `http://` or `unix:/`"),
    }
    let host = uri.authority().context("it has no host")?.as_str();
    ensure!(!host.contains('@'), "it has a user's name, which would not be sent");
    let name = uri.host().context("it has no host")?.trim_matches(['[', ']']);
    let addresses = (name, uri.port_u16().unwrap_or(80)).to_socket_addrs();
    let addresses: Vec<_> = addresses.context("its host has no address")?.collect();
    ensure!(!addresses.is_empty(), "its host has no address");
    let page = uri.path_and_query().map_or("/", |page| page.as_str());
    Ok((Endpoint::Tcp(addresses), host.to_owned(), page.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parses(url: &str, endpoint: Endpoint, host: &str, page: &str) {
        let target = TargetUrl::parse(url).unwrap();
        assert_eq!(
            (target.endpoint, &*target.host, target.page.to_string().as_str(), &*target.url),
            (endpoint, host, page, url)
        );
    }

    #[test]
    fn urls_name_a_server_and_a_page() {
        let tcp = |address: &str| Endpoint::Tcp(vec![address.parse().unwrap()]);
        parses("http://127.0.0.1:8000/a/b?c=d%20e", tcp("127.0.0.1:8000"), "127.0.0.1:8000", "/a/b?c=d%20e");
        parses("http://127.0.0.1", tcp("127.0.0.1:80"), "127.0.0.1", "/");
        parses("http://[::1]:81/?q", tcp("[::1]:81"), "[::1]:81", "/?q");
        let unix = || Endpoint::Unix("/run/app.sock".into());
        parses("unix:/run/app.sock:/a?b", unix(), "localhost", "/a?b");
        parses("unix:/run/app.sock", unix(), "localhost", "/");
    }

    #[test]
    fn others_are_refused_with_the_reason() {
        let refusal = |url| format!("{:#}", TargetUrl::parse(url).unwrap_err());
        assert!(refusal("https://127.0.0.1/").contains("TLS"));
        assert!(refusal("127.0.0.1:8000").contains("does not begin with"));
        assert!(refusal("ftp://127.0.0.1/").contains("does not begin with"));
        assert!(refusal("unix:app.sock").contains("absolute"));
        assert!(refusal("http://me:secret@127.0.0.1/").contains("user"));
        assert!(refusal("http://127.0.0.1/\u{1b}[31m").contains("failed to read the URL"));
    }
}

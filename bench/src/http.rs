//! A small HTTP/1.1 client on one kept connection: next to no processor time of its own, so that the
//! figures are the server's.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, bail};

/// A connection to one address.
#[derive(Debug)]
pub(crate) struct Connection {
    address: String,
    stream: BufReader<TcpStream>,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Response {
    /// HTTP status.
    pub(crate) status: u16,
    /// Body.
    pub(crate) body: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(address: &str) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Connection { address: address.to_owned(), stream: BufReader::new(stream) })
    }

    /// Sends a POST and reads its response.
    pub(crate) fn post(&mut self, path: &str, content_type: &str, body: &[u8]) -> anyhow::Result<Response> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        self.response()
    }

    /// Sends a GET and reads its response.
    pub(crate) fn get(&mut self, path: &str) -> anyhow::Result<Response> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        self.stream.get_mut().write_all(head.as_bytes())?;
        self.response()
    }

    fn response(&mut self) -> anyhow::Result<Response> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status =
            line.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no HTTP status")?;
        let (mut length, mut chunked) = (0, false);
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse()?,
                "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
                _ => {}
            }
        }
        let body = if chunked { self.chunks()? } else { self.exactly(length)? };
        Ok(Response { status, body })
    }

    fn exactly(&mut self, length: usize) -> anyhow::Result<Vec<u8>> {
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    fn chunks(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let length = usize::from_str_radix(line.trim(), 16).context("chunk length")?;
            body.extend(self.exactly(length)?);
            if self.exactly(2)? != b"\r\n" {
                bail!("a chunk does not end where it should");
            }
            if length == 0 {
                return Ok(body);
            }
        }
    }
}

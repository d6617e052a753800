//! A plain HTTP/1.1 request: enough to speak to the faces over a unix socket as a hostile client might, and to see whether a
//! web server in a container answers.

use crate::failure::{During, Outcome};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// Sends one request and reads the answer to its end.
///
/// # Errors
/// Where the socket cannot be reached, or what comes back is not HTTP.
pub fn request(socket: &Path, method: &str, path: &str, body: &[u8]) -> Outcome<Answer> {
    speak(socket, head(method, path, body).as_bytes(), body)
}

/// Asks a server at an address for a path.
///
/// # Errors
/// Where it cannot be reached, or what comes back is not HTTP.
pub fn get(address: SocketAddr, path: &str) -> Outcome<Answer> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).during(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    exchange(stream, head("GET", path, b"").as_bytes(), b"")
}

fn head(method: &str, path: &str, body: &[u8]) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
}

/// Sends a head and a body as they are, which should have the connection closed, and reads the answer to its end.
///
/// # Errors
/// As [`request`].
pub fn speak(socket: &Path, head: &[u8], body: &[u8]) -> Outcome<Answer> {
    let stream = UnixStream::connect(socket).during(socket.display())?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    exchange(stream, head, body)
}

fn exchange(mut stream: impl Read + Write, head: &[u8], body: &[u8]) -> Outcome<Answer> {
    stream.write_all(head)?;
    // The other end may refuse a large body before it has read it all; its answer is what counts.
    let unfinished = stream.write_all(body);
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer)
        && answer.is_empty()
    {
        unfinished.during("sending the body")?;
        return Err(error).during("reading the answer");
    }
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").during("an answer without a head")?;
    let status = head.split(' ').nth(1).during("an answer without a status")?;
    Ok(Answer {
        status: status.parse()?,
        body: body.to_owned(),
    })
}

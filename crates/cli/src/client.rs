//! The admin API's client: HTTP/1.1 and JSON on a unix socket, one connection for each question.
//!
//! Whatever answers on the socket is not trusted to be sane: the answer is bounded in size and in time,
//! and must be what `cofferdam_model::api` says, or it is an error.

use cofferdam_model::{ErrorKind, Problem, Result};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};
use tokio::net::UnixStream;

/// Where the daemon listens unless `--socket` says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/cofferdam/admin.sock";

/// The longest answer that is read, in bytes.
pub const RESPONSE_MAX: usize = 64 << 20;

/// The daemon, as seen from here.
#[derive(Debug)]
pub(crate) struct Client {
    socket: PathBuf,
    timeout: Duration,
}

impl Client {
    /// A client of the daemon at `socket` that waits at most `timeout` for each answer.
    pub(crate) fn new(socket: PathBuf, timeout: Duration) -> Self {
        Client { socket, timeout }
    }

    /// `GET`.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.ask(&Method::GET, path, None)
    }

    /// `POST`.
    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.ask(&Method::POST, path, Some(encode(body)?))
    }

    /// `PUT`.
    pub(crate) fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.ask(&Method::PUT, path, Some(encode(body)?))
    }

    /// `DELETE`.
    pub(crate) fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.ask(&Method::DELETE, path, None)
    }

    /// `GET` of something long, into `out` as it comes; answers how many bytes that were. Each piece has to come in time.
    pub(crate) fn download(&self, path: &str, out: &mut dyn Write) -> Result<u64> {
        event_loop()?.block_on(self.take(path, out))
    }

    async fn take(&self, path: &str, out: &mut dyn Write) -> Result<u64> {
        let slow = |_| self.too_slow();
        let asked = tokio::time::timeout(self.timeout, self.send(&Method::GET, path, None));
        let answer = asked.await.map_err(slow)??;
        let status = answer.status();
        let mut body = answer.into_body();
        if !status.is_success() {
            let bytes = Limited::new(body, RESPONSE_MAX)
                .collect()
                .await
                .map_err(cut_short)?;
            return decode(&Method::GET, path, status, &bytes.to_bytes());
        }
        let mut taken = 0;
        while let Some(frame) = tokio::time::timeout(self.timeout, body.frame())
            .await
            .map_err(slow)?
        {
            if let Ok(piece) = frame.map_err(broken)?.into_data() {
                out.write_all(&piece)
                    .map_err(|error| Problem::unavailable(format!("cannot write what came: {error}")))?;
                taken += piece.len() as u64;
            }
        }
        Ok(taken)
    }

    /// `GET` of what may not be there.
    pub(crate) fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        match self.get(path) {
            Ok(found) => Ok(Some(found)),
            Err(problem) if problem.kind == ErrorKind::Missing => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    fn ask<T: DeserializeOwned>(&self, method: &Method, path: &str, body: Option<Bytes>) -> Result<T> {
        let (status, answer) = event_loop()?.block_on(async {
            tokio::time::timeout(self.timeout, self.exchange(method, path, body))
                .await
                .unwrap_or_else(|_| Err(self.too_slow()))
        })?;
        decode(method, path, status, &answer)
    }

    async fn exchange(
        &self,
        method: &Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<(StatusCode, Bytes)> {
        let answer = self.send(method, path, body).await?;
        let status = answer.status();
        let bytes = Limited::new(answer.into_body(), RESPONSE_MAX)
            .collect()
            .await
            .map_err(cut_short)?;
        Ok((status, bytes.to_bytes()))
    }

    async fn send(&self, method: &Method, path: &str, body: Option<Bytes>) -> Result<Response<Incoming>> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| self.unreachable(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "cofferdamd")
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|error| Problem::internal(format!("cannot write the request {path}: {error}")))?;
        sender.send_request(request).await.map_err(broken)
    }

    fn unreachable(&self, error: &io::Error) -> Problem {
        let (kind, reason, remedy) = match error.kind() {
            io::ErrorKind::NotFound => (
                ErrorKind::Unavailable,
                "there is no such socket".to_owned(),
                "start it with: systemctl start cofferdamd",
            ),
            io::ErrorKind::ConnectionRefused => (
                ErrorKind::Unavailable,
                "nobody listens there".to_owned(),
                "start it with: systemctl start cofferdamd",
            ),
            io::ErrorKind::PermissionDenied => (
                ErrorKind::Denied,
                "permission denied".to_owned(),
                "run as root or join the group cofferdam",
            ),
            _ => (
                ErrorKind::Unavailable,
                error.to_string(),
                "name the daemon's admin socket with --socket",
            ),
        };
        let socket = self.socket.display();
        Problem::new(kind, format!("cannot reach cofferdamd at {socket}: {reason}")).remedy(remedy)
    }

    fn too_slow(&self) -> Problem {
        Problem::unavailable(format!("cofferdamd did not answer within {:?}", self.timeout))
            .remedy("see what it waits for: journalctl -u cofferdamd; or wait longer with --timeout")
    }
}

fn event_loop() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::internal(format!("cannot start an event loop: {error}")))
}

fn encode(body: &impl Serialize) -> Result<Bytes> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|error| Problem::internal(format!("cannot write the request as JSON: {error}")))
}

fn decode<T: DeserializeOwned>(method: &Method, path: &str, status: StatusCode, answer: &[u8]) -> Result<T> {
    if status.is_success() {
        return serde_json::from_slice(answer).map_err(|error| {
            foreign(format!(
                "cofferdamd's answer to {method} {path} does not make sense: {error}"
            ))
        });
    }
    let unclear = |_| {
        let status = status.as_u16();
        foreign(format!(
            "cofferdamd answered {method} {path} with status {status} and no reason"
        ))
    };
    Err(serde_json::from_slice::<Problem>(answer).unwrap_or_else(unclear))
}

fn broken(error: hyper::Error) -> Problem {
    if error.is_parse() {
        return foreign("what answers on the socket does not speak HTTP".to_owned());
    }
    Problem::unavailable("cofferdamd closed the connection before it had answered")
        .remedy("what was asked may have been done or not; see: journalctl -u cofferdamd")
}

fn cut_short(error: Box<dyn std::error::Error + Send + Sync>) -> Problem {
    if error.is::<LengthLimitError>() {
        return foreign(format!(
            "cofferdamd's answer is longer than {} MiB",
            RESPONSE_MAX >> 20
        ));
    }
    match error.downcast::<hyper::Error>() {
        Ok(error) => broken(*error),
        Err(error) => Problem::unavailable(format!("cofferdamd's answer cannot be read: {error}")),
    }
}

fn foreign(message: String) -> Problem {
    Problem::internal(message).remedy(
        "check that --socket names cofferdamd, and that it has this command's version: cofferdam --version",
    )
}

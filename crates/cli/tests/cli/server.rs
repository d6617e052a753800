//! A small HTTP server on a unix socket that answers each path with one fixed answer, and keeps what it
//! was asked.

use serde_json::{Value, json};
use std::{
    collections::HashMap,
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;

/// How a path is answered.
#[derive(Clone)]
pub(crate) enum Answer {
    /// With this status and this JSON.
    Json(u16, Value),
    /// With these bytes, then the connection is closed.
    Bytes(Vec<u8>),
    /// With a body of this many spaces, declared or chunked.
    Flood { length: usize, declared: bool },
    /// With these bytes, and then never more.
    Stall(&'static [u8]),
}

pub(crate) struct Server {
    directory: TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves `answers`, named by method and path; anything else is missing.
    pub(crate) fn start(answers: Vec<(&str, Answer)>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("admin.sock")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answers: HashMap<String, Answer> = answers
            .into_iter()
            .map(|(path, answer)| (path.to_owned(), answer))
            .collect();
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &answers, &log);
            }
        });
        Server { directory, asked }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("admin.sock")
    }

    /// What was asked so far: method and path, and the body where there was one.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(mut stream: UnixStream, answers: &HashMap<String, Answer>, log: &Mutex<Vec<String>>) {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (head, body) = read_request(&mut stream);
    let asked: String = head.split(' ').take(2).collect::<Vec<_>>().join(" ");
    log.lock()
        .unwrap()
        .push(format!("{asked} {body}").trim_end().to_owned());
    let missing = Answer::Json(404, json!({"kind": "missing", "message": "it does not exist"}));
    // A client that has had enough may close early; that is its right.
    let done = match answers.get(&asked).unwrap_or(&missing) {
        Answer::Json(status, value) => {
            let body = value.to_string();
            let head = format!(
                "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes())
        }
        Answer::Bytes(bytes) => stream.write_all(bytes),
        Answer::Flood { length, declared } => flood(&mut stream, *length, *declared),
        Answer::Stall(bytes) => stream
            .write_all(bytes)
            .and_then(|()| stream.read_to_end(&mut Vec::new()))
            .map(|_| ()),
    };
    drop(done);
}

fn flood(stream: &mut UnixStream, length: usize, declared: bool) -> std::io::Result<()> {
    let chunk = vec![b' '; 1 << 20];
    if declared {
        stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").as_bytes())?;
    } else {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
    }
    for _ in 0..length.div_ceil(chunk.len()) {
        if !declared {
            stream.write_all(b"100000\r\n")?;
        }
        stream.write_all(&chunk)?;
        if !declared {
            stream.write_all(b"\r\n")?;
        }
    }
    stream.write_all(b"0\r\n\r\n")
}

fn read_request(stream: &mut UnixStream) -> (String, String) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let length = head
                .to_ascii_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ").map(str::to_owned))
                .map_or(0, |length| length.parse::<usize>().unwrap());
            if bytes.len() >= end + 4 + length {
                let body = String::from_utf8(bytes[end + 4..].to_vec()).unwrap();
                return (head, body);
            }
        }
        let count = stream.read(&mut buffer).unwrap();
        if count == 0 {
            return (String::new(), String::new());
        }
        bytes.extend_from_slice(&buffer[..count]);
    }
}

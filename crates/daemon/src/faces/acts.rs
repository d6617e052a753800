//! Administrative acts, as the ledger has them: whatever the admin API is asked that is not a question.
//!
//! An act is recorded before it is done, so that nothing is done without a record; where it was refused, that is recorded too.

use super::admin::{BODY_MAX, Caller, place_for};
use super::answer::{beside, respond};
use crate::daemon::Daemon;
use crate::operations::Asker;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use cofferdam_ledger::{Actor, Event, digest};
use cofferdam_model::Problem;
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

/// How long a request may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// Characters of a piece of a body; a text of the ledger has at most 512.
const PIECE: usize = 500;

/// Records an act, then has it done.
pub(super) async fn recorded(
    State(daemon): State<Arc<Daemon>>,
    ConnectInfo(Caller(peer)): ConnectInfo<Caller>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() == Method::GET {
        return next.run(request).await;
    }
    let by = peer.as_ref().map_or(Actor::Daemon, |peer| Actor::Peer {
        uid: peer.uid,
        pid: peer.pid,
    });
    let (mut head, body) = request.into_parts();
    let body = match tokio::time::timeout(PATIENCE, to_bytes(body, BODY_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return refuse(Problem::invalid(format!("the request cannot be read: {error}"))),
        Err(_) => return refuse(Problem::invalid("the request did not arrive in time")),
    };
    // Who began to ask may be nobody any more now that he has asked.
    let asker = match peer.as_ref().map(|peer| Asker::of(&daemon, peer.uid)) {
        Some(Ok(asker)) => asker,
        Some(Err(problem)) => return refuse(problem),
        None => return refuse(Problem::denied("it cannot be told who asks")),
    };
    let _place = place_for(&asker).await;
    head.extensions.insert(asker);
    let subject = head
        .uri
        .path_and_query()
        .map_or(String::new(), ToString::to_string);
    if holds_secret(subject.as_bytes()) || holds_secret(&body) {
        return refuse(
            Problem::invalid("the request holds a secret key; nothing was done or recorded")
                .remedy("give the public one, age1…; and take the secret one for known where it was typed"),
        );
    }
    let verb = head.method.to_string();
    let act = |detail: Vec<String>| Event::Act {
        verb: verb.clone(),
        subject: subject.clone(),
        detail,
        by: by.clone(),
    };
    let asked = act(told(&body));
    if let Err(problem) = beside(&daemon, move |d| d.record(vec![asked])).await {
        return refuse(problem);
    }
    let response = next.run(Request::from_parts(head, Body::from(body))).await;
    if !response.status().is_success() {
        let refused = act(vec![format!(
            "refused with status {}",
            response.status().as_u16()
        )]);
        if let Err(problem) = beside(&daemon, move |d| d.record(vec![refused])).await {
            warn!("a refused act is not in the ledger: {problem}");
        }
    }
    response
}

fn refuse(problem: Problem) -> Response {
    respond::<()>(Err(problem))
}

/// Whether somebody has typed a secret where a public key belongs: the ledger would keep it for ever.
fn holds_secret(bytes: &[u8]) -> bool {
    let upper = bytes.to_ascii_uppercase();
    [b"AGE-SECRET-KEY-".as_slice(), b"AGE-PLUGIN-"]
        .iter()
        .any(|sign| upper.windows(sign.len()).any(|part| part == *sign))
}

/// A body as the ledger has it: its digest, and what it says as compact JSON, in pieces, so that nothing hides behind spaces. Of a
/// body beyond 30,000 characters the ledger has the beginning and the digest.
fn told(body: &[u8]) -> Vec<String> {
    if body.is_empty() {
        return Vec::new();
    }
    let mut told = vec![digest(body).to_string()];
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(value) => {
            let characters: Vec<char> = value.to_string().chars().collect();
            told.extend(
                characters
                    .chunks(PIECE)
                    .map(|piece| piece.iter().collect::<String>()),
            );
        }
        Err(_) => told.push(format!("{} bytes that are no JSON", body.len())),
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hides_behind_spaces() {
        let body = format!("{}{{\"name\": \"payments.pgdata\"}}", " ".repeat(600));
        let told = told(body.as_bytes());
        assert_eq!(
            told,
            [
                digest(body.as_bytes()).to_string(),
                r#"{"name":"payments.pgdata"}"#.to_owned()
            ]
        );
    }

    #[test]
    fn a_long_body_is_told_whole() {
        let body = serde_json::to_vec(&"ä".repeat(1200)).unwrap();
        let told = told(&body);
        assert_eq!(told[1..].concat(), String::from_utf8(body).unwrap());
        assert!(told.iter().all(|piece| piece.chars().count() <= PIECE));
    }

    #[test]
    fn what_is_no_json_is_told_by_its_digest() {
        assert_eq!(
            told(b"{"),
            [digest(b"{").to_string(), "1 bytes that are no JSON".to_owned()]
        );
        assert!(told(b"").is_empty());
    }

    #[test]
    fn a_secret_is_known_in_any_case_and_a_recipient_is_none() {
        for secret in [
            "AGE-SECRET-KEY-1QQ",
            "x age-secret-key-1qq",
            "/recipients/Age-Plugin-yubikey-1q",
        ] {
            assert!(holds_secret(secret.as_bytes()), "{secret}");
        }
        assert!(!holds_secret(b"/v1/volumes/a.b/recipients/age1qyqszqgpqyqszqgp"));
    }
}

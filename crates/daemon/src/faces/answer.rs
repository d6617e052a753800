//! JSON over HTTP: what was asked, parsed; what came of it, written. Work that may wait for a disk runs beside the event loop.

use crate::daemon::Daemon;
use crate::operations::Asker;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use cofferdam_model::api::http_status;
use cofferdam_model::{Problem, Result, json};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// Parses a body.
///
/// # Errors
/// `invalid`, with the place.
pub(super) fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T> {
    json::read("the request", body)
}

/// Does `work` beside the event loop.
///
/// # Errors
/// Its own; `internal` where it ended early.
pub(super) async fn beside<T, W>(daemon: &Arc<Daemon>, work: W) -> Result<T>
where
    T: Send + 'static,
    W: FnOnce(&Arc<Daemon>) -> Result<T> + Send + 'static,
{
    let daemon = Arc::clone(daemon);
    let done = tokio::task::spawn_blocking(move || work(&daemon)).await;
    done.unwrap_or_else(|error| Err(Problem::internal(format!("a request ended early: {error}"))))
}

/// The result as a response.
pub(super) fn respond<T: Serialize>(result: Result<T>) -> Response {
    match result.and_then(|value| written(&value)) {
        Ok(body) => json(StatusCode::OK, body),
        Err(problem) => {
            let status =
                StatusCode::from_u16(http_status(problem.kind)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            json(status, written(&problem).unwrap_or_default())
        }
    }
}

fn written<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Problem::internal(format!("the answer cannot be written: {error}")))
}

/// A JSON response.
pub(super) fn json(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// What handlers share.
pub(super) type Shared = State<Arc<Daemon>>;

/// Who asks, as the admin face found it.
pub(super) type Who = Extension<Asker>;

/// Does `work` beside the event loop, and answers.
pub(super) async fn done<T, W>(daemon: &Arc<Daemon>, work: W) -> Response
where
    T: Serialize + Send + 'static,
    W: FnOnce(&Arc<Daemon>) -> Result<T> + Send + 'static,
{
    respond(beside(daemon, work).await)
}

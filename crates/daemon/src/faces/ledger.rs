//! The ledger's part of the admin API: looking, and taking copies and proofs elsewhere. Nothing here writes. It says what every
//! tenant did, so all but its key is the operator's.

use super::answer::{beside, respond};
use crate::daemon::Daemon;
use crate::operations::Asker;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use cofferdam_model::api::LedgerKey;
use cofferdam_model::{Problem, Result};
use http_body_util::channel::{Channel, Sender};
use serde::Deserialize;
use std::io::{self, Write};
use std::sync::Arc;
use tracing::warn;

/// As many records as one answer has at most.
const RECORDS_MAX: usize = 10_000;

/// Pieces of an export that wait for whoever takes it.
const WAITING: usize = 4;

type Shared = State<Arc<Daemon>>;

/// How many records are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tail {
    tail: usize,
}

/// The routes.
pub(super) fn routes() -> Router<Arc<Daemon>> {
    Router::new()
        .route("/v1/ledger", get(tail))
        .route("/v1/ledger/key", get(key))
        .route("/v1/ledger/export", get(export))
        .route("/v1/ledger/proofs/{index}", get(prove))
}

async fn tail(
    State(daemon): Shared,
    Extension(asker): Extension<Asker>,
    Query(Tail { tail }): Query<Tail>,
) -> Response {
    respond(
        beside(&daemon, move |d| {
            asker.must_operate()?;
            d.ledger().with(|ledger| ledger.tail(tail.min(RECORDS_MAX)))
        })
        .await,
    )
}

async fn key(State(daemon): Shared) -> Response {
    respond(daemon.ledger().with(|ledger| {
        Ok(LedgerKey {
            key: ledger.verifier_key().to_string(),
            checkpoint: ledger.checkpoint().note().to_owned(),
        })
    }))
}

async fn prove(
    State(daemon): Shared,
    Extension(asker): Extension<Asker>,
    Path(index): Path<String>,
) -> Response {
    respond(
        beside(&daemon, move |d| {
            asker.must_operate()?;
            d.ledger()
                .with(|ledger| ledger.prove(number(&index)?, &mut |_, _| {}))
        })
        .await,
    )
}

fn number(text: &str) -> Result<u64> {
    text.parse()
        .map_err(|_| Problem::invalid("not the number of a record").remedy("write a whole number, from 0"))
}

/// All of it, as it is read. An answer that was begun and cannot be ended is cut off, which whoever verifies it finds.
async fn export(State(daemon): Shared, Extension(asker): Extension<Asker>) -> Response {
    if let Err(problem) = asker.must_operate() {
        return respond::<()>(Err(problem));
    }
    let (sender, body) = Channel::<Bytes, io::Error>::new(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut out = Pieces(sender);
        if let Err(problem) = daemon
            .ledger()
            .with(|ledger| ledger.export(&mut out, &mut |_, _| {}))
        {
            warn!("an export of the ledger was cut off: {problem}");
            out.0.abort(io::Error::other(problem.message));
        }
    });
    ([(header::CONTENT_TYPE, "application/jsonl")], Body::new(body)).into_response()
}

/// Writes into an answer that is being taken.
struct Pieces(Sender<Bytes, io::Error>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        tokio::runtime::Handle::current()
            .block_on(self.0.send_data(piece))
            .map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

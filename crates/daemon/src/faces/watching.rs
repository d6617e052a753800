//! The admin API's part about what goes on: how the daemon is, who holds what, what was decided.

use super::answer::{Shared, Who, done};
use crate::daemon::Daemon;
use crate::operations;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use std::sync::Arc;

/// The routes.
pub(super) fn routes() -> Router<Arc<Daemon>> {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/attachments", get(attachments))
        .route("/v1/decisions", get(decisions))
        .route("/v1/decisions/{id}", get(decision))
        .route("/v1/plans/{id}", get(plan))
}

async fn status(State(daemon): Shared, Extension(asker): Who) -> Response {
    done(&daemon, move |d| {
        operations::status(d).map(|status| asker.sees_of(d, status))
    })
    .await
}

async fn attachments(State(daemon): Shared, Extension(asker): Who) -> Response {
    done(&daemon, move |d| {
        let mut all = operations::attachments(d)?;
        all.retain(|held| asker.sees_attachment(held));
        Ok(all)
    })
    .await
}

async fn decisions(State(daemon): Shared, Extension(asker): Who) -> Response {
    done(&daemon, move |d| {
        operations::decisions(d, |decision| asker.sees_decision(decision))
    })
    .await
}

async fn decision(State(daemon): Shared, Extension(asker): Who, Path(id): Path<String>) -> Response {
    done(&daemon, move |d| operations::decision(d, &asker, id.parse()?)).await
}

async fn plan(State(daemon): Shared, Extension(asker): Who, Path(id): Path<String>) -> Response {
    done(&daemon, move |d| operations::plan(d, &asker, id.parse()?)).await
}

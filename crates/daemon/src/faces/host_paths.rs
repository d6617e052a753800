//! The admin API's part about host paths.

use super::answer::{Shared, Who, done, parse};
use crate::daemon::Daemon;
use crate::operations;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use std::sync::Arc;

/// The routes.
pub(super) fn routes() -> Router<Arc<Daemon>> {
    Router::new()
        .route("/v1/host-paths", get(all).put(grant))
        .route("/v1/host-paths/revocations", post(revoke))
}

async fn all(State(daemon): Shared, Extension(asker): Who) -> Response {
    done(&daemon, move |d| {
        let mut all = operations::host_path_grants(d)?;
        all.retain(|grant| asker.owns(grant.app.tenant()));
        Ok(all)
    })
    .await
}

async fn grant(State(daemon): Shared, Extension(asker): Who, body: Bytes) -> Response {
    done(&daemon, move |d| {
        asker.must_operate()?;
        operations::grant_host_path(d, &parse(&body)?)
    })
    .await
}

async fn revoke(State(daemon): Shared, Extension(asker): Who, body: Bytes) -> Response {
    done(&daemon, move |d| {
        asker.must_operate()?;
        operations::revoke_host_path(d, &parse(&body)?)
    })
    .await
}

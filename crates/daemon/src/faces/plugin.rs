//! The Docker volume plugin, protocol v1: what Docker asks when somebody names a volume.
//!
//! The answer to "where is it" is always the placeholder. Nothing here opens anything: the request carries no
//! identity, so there is nothing to decide on. Mount and Unmount have no effect for the same reason; how long a volume is
//! held follows from the container that holds it.
//!
//! The same socket is the AuthZ plugin's (`authz`), where the operator has Docker ask it.
//!
//! Source: Docker's documentation, "Docker volume plugins" (VolumeDriver.*; the bodies are in `cofferdam_model::plugin`), and "Plugin
//! API" (Plugin.Activate).

use super::answer::{beside, json};
use super::{Stop, authz, socket};
use crate::daemon::Daemon;
use crate::operations;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use cofferdam_ledger::{Actor, Event};
use cofferdam_model::api::{VolumeDetail, http_status};
use cofferdam_model::plugin::Asked;
use cofferdam_model::{Maker, Problem, Result, VolumeName};
use serde_json::{Value, json as value};
use std::sync::Arc;
use tracing::warn;

/// The longest request, in bytes.
const BODY_MAX: usize = 1 << 20;

type Shared = State<Arc<Daemon>>;

/// Serves the plugin until told to stop.
///
/// # Errors
/// `unavailable` where the socket cannot be opened.
pub(super) fn face(daemon: &Arc<Daemon>, stop: &Stop) -> Result<impl Future<Output = ()> + Send + 'static> {
    let (listener, name) = socket::listen(&daemon.settings.docker.plugin_socket, None)?;
    let service = router(daemon);
    let stop = stop.clone();
    Ok(async move {
        let served = axum::serve(listener, service)
            .with_graceful_shutdown(async move { stop.told().await })
            .await;
        if let Err(error) = served {
            warn!("the volume plugin ended: {error}");
        }
        drop(name);
    })
}

fn router(daemon: &Arc<Daemon>) -> Router {
    Router::new()
        .route(
            "/Plugin.Activate",
            post(async || answer(Ok(value!({"Implements": ["VolumeDriver", "authz"]})))),
        )
        .route(
            "/VolumeDriver.Capabilities",
            post(async || answer(Ok(value!({"Capabilities": {"Scope": "local"}})))),
        )
        .route(
            "/VolumeDriver.Create",
            post(async |State(daemon): Shared, body: Bytes| {
                answer(beside(&daemon, move |d| create(d, &body)).await)
            }),
        )
        .route(
            "/VolumeDriver.Remove",
            post(async |State(daemon): Shared, body: Bytes| {
                answer(beside(&daemon, move |d| remove(d, &body)).await)
            }),
        )
        .route(
            "/VolumeDriver.Mount",
            post(async |State(daemon): Shared, body: Bytes| {
                answer(beside(&daemon, move |d| path(d, &body)).await)
            }),
        )
        .route(
            "/VolumeDriver.Path",
            post(async |State(daemon): Shared, body: Bytes| {
                answer(beside(&daemon, move |d| path(d, &body)).await)
            }),
        )
        .route(
            "/VolumeDriver.Unmount",
            post(async |State(daemon): Shared, body: Bytes| {
                answer(beside(&daemon, move |d| unmount(d, &body)).await)
            }),
        )
        .route(
            "/VolumeDriver.Get",
            post(async |State(daemon): Shared, body: Bytes| {
                answer(beside(&daemon, move |d| get(d, &body)).await)
            }),
        )
        .route(
            "/VolumeDriver.List",
            post(async |State(daemon): Shared| answer(beside(&daemon, list).await)),
        )
        .fallback(async || answer(Err(Problem::missing("the volume plugin has no such call"))))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .merge(authz::routes())
        .with_state(Arc::clone(daemon))
}

/// Docker wants an error as `Err`, and reads "no such volume" from the status alone.
fn answer(result: Result<Value>) -> Response {
    let (status, body) = match result {
        Ok(body) => (StatusCode::OK, body),
        Err(problem) => {
            let status =
                StatusCode::from_u16(http_status(problem.kind)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, value!({"Err": format!("cofferdam: {problem}")}))
        }
    };
    json(status, body.to_string().into_bytes())
}

fn create(daemon: &Arc<Daemon>, body: &Bytes) -> Result<Value> {
    let asked = Asked::parse(body)?;
    let new = asked.new_volume()?;
    // Docker creates a volume again whenever somebody names it together with the driver: without options any will do.
    if asked.has_options() || operations::known_volume(daemon, &new.name).is_err() {
        act(daemon, "volume create, through Docker", &new.name, asked.told())?;
        operations::create_volume(daemon, &new, Maker::Docker)?;
    }
    Ok(value!({"Err": ""}))
}

/// Whoever may use Docker is nobody in particular: the ledger says that it was asked through Docker, before it is done.
fn act(daemon: &Daemon, verb: &str, name: &VolumeName, detail: impl Iterator<Item = String>) -> Result<()> {
    daemon.record(vec![Event::Act {
        verb: verb.to_owned(),
        subject: name.to_string(),
        detail: detail.collect(),
        by: Actor::Daemon,
    }])
}

fn named(body: &Bytes) -> Result<VolumeName> {
    Asked::parse(body)?.volume()
}

fn remove(daemon: &Arc<Daemon>, body: &Bytes) -> Result<Value> {
    let name = named(body)?;
    operations::known_volume(daemon, &name)?;
    act(daemon, "volume remove, through Docker", &name, std::iter::empty())?;
    operations::remove_volume(daemon, &name, Maker::Docker)?;
    Ok(value!({"Err": ""}))
}

fn path(daemon: &Arc<Daemon>, body: &Bytes) -> Result<Value> {
    let name = named(body)?;
    operations::known_volume(daemon, &name)?;
    let path = placeholder(daemon, &name)
        .ok_or_else(|| Problem::unavailable(format!("{name} has no placeholder")))?;
    Ok(value!({"Mountpoint": path, "Err": ""}))
}

fn unmount(daemon: &Arc<Daemon>, body: &Bytes) -> Result<Value> {
    let name = named(body)?;
    operations::known_volume(daemon, &name)?;
    Ok(value!({"Err": ""}))
}

fn get(daemon: &Arc<Daemon>, body: &Bytes) -> Result<Value> {
    let asked = Asked::parse(body)?;
    // Docker asks for every name that anybody uses; one that cannot be ours does not exist.
    let name = asked
        .volume()
        .map_err(|problem| Problem::missing(problem.message))?;
    let detail = operations::known_volume(daemon, &name)?;
    Ok(value!({"Volume": described(daemon, &asked.name, &detail), "Err": ""}))
}

fn list(daemon: &Arc<Daemon>) -> Result<Value> {
    let volumes: Vec<Value> = operations::known_volumes(daemon)
        .iter()
        .map(|detail| described(daemon, &detail.volume.name.to_string(), detail))
        .collect();
    Ok(value!({"Volumes": volumes, "Err": ""}))
}

fn placeholder(daemon: &Daemon, name: &VolumeName) -> Option<String> {
    daemon
        .placeholders()
        .path_of(name)
        .map(|path| path.display().to_string())
}

fn described(daemon: &Daemon, name: &str, detail: &VolumeDetail) -> Value {
    let volume = &detail.volume;
    value!({
        "Name": name,
        "Mountpoint": placeholder(daemon, &volume.name),
        "CreatedAt": format!("{:.0}", volume.created),
        "Status": {
            "tenant": volume.name.tenant().as_str(),
            "access": volume.access.word(),
            "size": volume.size.map(|size| size.to_string()),
            "attachments": detail.attachments.len(),
        },
    })
}

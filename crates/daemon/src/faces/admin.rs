//! The admin API (`cofferdam_model::api`): HTTP/JSON for root and the members of one group.

use super::answer::{beside, parse, respond};
use super::{Stop, acts, ledger, socket};
use crate::daemon::Daemon;
use crate::{docker_api, operations};
use axum::Router;
use axum::body::Bytes;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{delete, get, post, put};
use axum::serve::IncomingStream;
use cofferdam_linux::peer::{self, Peer};
use cofferdam_model::api::NewApp;
use cofferdam_model::{Grant, Maker, Problem, Result};
use serde::Deserialize;
use std::os::fd::AsFd;
use std::sync::Arc;
use tokio::net::UnixListener;
use tracing::warn;

/// The longest request, in bytes.
pub(super) const BODY_MAX: usize = 1 << 20;

type Shared = State<Arc<Daemon>>;

/// Whether what is open is to be taken back too.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Now {
    #[serde(default)]
    now: bool,
}

/// Who is asking; none where the kernel would not say.
#[derive(Clone)]
pub(super) struct Caller(pub(super) Option<Peer>);

impl Connected<IncomingStream<'_, UnixListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Caller(peer::of(stream.io().as_fd()).ok())
    }
}

/// Serves the admin API until told to stop.
///
/// # Errors
/// `unavailable` where the socket cannot be opened.
pub(super) fn face(daemon: &Arc<Daemon>, stop: &Stop) -> Result<impl Future<Output = ()> + Send + 'static> {
    let group = socket::group_id(&daemon.settings.admin.group);
    let (listener, name) = socket::listen(&daemon.settings.admin_socket(), group)?;
    let service = router(daemon, group).into_make_service_with_connect_info::<Caller>();
    let stop = stop.clone();
    Ok(async move {
        let served = axum::serve(listener, service)
            .with_graceful_shutdown(async move { stop.told().await })
            .await;
        if let Err(error) = served {
            warn!("the admin API ended: {error}");
        }
        drop(name);
    })
}

fn router(daemon: &Arc<Daemon>, group: Option<u32>) -> Router {
    Router::new()
        .route(
            "/v1/status",
            get(async |State(daemon): Shared| respond(beside(&daemon, |d| operations::status(d)).await)),
        )
        .route(
            "/v1/tenants",
            get(async |State(daemon): Shared| respond(beside(&daemon, |d| operations::tenants(d)).await))
                .post(create_tenant),
        )
        .route("/v1/tenants/{tenant}", get(tenant).delete(remove_tenant))
        .route(
            "/v1/apps",
            get(async |State(daemon): Shared| respond(beside(&daemon, |d| operations::apps(d)).await))
                .post(create_app),
        )
        .route("/v1/apps/{app}", get(app).delete(remove_app))
        .route(
            "/v1/volumes",
            get(async |State(daemon): Shared| respond(beside(&daemon, |d| operations::volumes(d)).await))
                .post(create_volume),
        )
        .route("/v1/volumes/{volume}", get(volume).delete(remove_volume))
        .route("/v1/volumes/{volume}/seal", post(seal_volume))
        .route(
            "/v1/volumes/{volume}/recipients/{recipient}",
            put(share_volume).delete(unshare_volume),
        )
        .route("/v1/adoptions", post(adopt_volume))
        .route(
            "/v1/grants",
            get(async |State(daemon): Shared| respond(beside(&daemon, |d| operations::grants(d)).await))
                .put(put_grant),
        )
        .route("/v1/grants/{volume}/{app}", delete(revoke))
        .route(
            "/v1/attachments",
            get(async |State(daemon): Shared| respond(beside(&daemon, |d| operations::attachments(d)).await)),
        )
        .route(
            "/v1/decisions",
            get(async |State(daemon): Shared| respond(beside(&daemon, |d| operations::decisions(d)).await)),
        )
        .route("/v1/decisions/{id}", get(decision))
        .merge(ledger::routes())
        .fallback(async || respond::<()>(Err(Problem::missing("the admin API has no such path"))))
        .layer(from_fn_with_state(Arc::clone(daemon), acts::recorded))
        .layer(from_fn_with_state(group, admit))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(Arc::clone(daemon))
}

/// Root, and the group's members; by the kernel's word alone.
async fn admit(
    State(group): State<Option<u32>>,
    ConnectInfo(Caller(peer)): ConnectInfo<Caller>,
    request: Request,
    next: Next,
) -> Response {
    let allowed = peer
        .as_ref()
        .is_some_and(|peer| peer.uid == 0 || group.is_some_and(|group| peer.in_group(group)));
    if allowed {
        return next.run(request).await;
    }
    warn!(peer = ?peer.map(|peer| (peer.uid, peer.pid)), "refused at the admin API");
    respond::<()>(Err(Problem::denied("the admin API is for root and one group")
        .remedy("run as root or join the group cofferdam")))
}

async fn create_tenant(State(daemon): Shared, body: Bytes) -> Response {
    respond(beside(&daemon, move |d| operations::create_tenant(d, &parse(&body)?)).await)
}

async fn tenant(State(daemon): Shared, Path(name): Path<String>) -> Response {
    respond(beside(&daemon, move |d| operations::tenant(d, &name.parse()?)).await)
}

async fn remove_tenant(State(daemon): Shared, Path(name): Path<String>) -> Response {
    respond(beside(&daemon, move |d| operations::remove_tenant(d, &name.parse()?)).await)
}

async fn create_app(State(daemon): Shared, body: Bytes) -> Response {
    let app = async {
        let new: NewApp = parse(&body)?;
        let image = docker_api::image_config(&daemon.settings, &new.image).await?;
        operations::pinned(new, image)
    };
    match app.await {
        Ok(app) => respond(beside(&daemon, move |d| operations::create_app(d, &app)).await),
        Err(problem) => respond::<()>(Err(problem)),
    }
}

async fn app(State(daemon): Shared, Path(name): Path<String>) -> Response {
    respond(beside(&daemon, move |d| operations::app(d, &name.parse()?)).await)
}

async fn remove_app(State(daemon): Shared, Path(name): Path<String>) -> Response {
    respond(beside(&daemon, move |d| operations::remove_app(d, &name.parse()?)).await)
}

async fn create_volume(State(daemon): Shared, body: Bytes) -> Response {
    respond(
        beside(&daemon, move |d| {
            operations::create_volume(d, &parse(&body)?, Maker::Admin)
        })
        .await,
    )
}

async fn adopt_volume(State(daemon): Shared, body: Bytes) -> Response {
    respond(beside(&daemon, move |d| operations::adopt_volume(d, &parse(&body)?)).await)
}

async fn share_volume(State(daemon): Shared, Path((volume, recipient)): Path<(String, String)>) -> Response {
    respond(
        beside(&daemon, move |d| {
            operations::share_volume(d, &volume.parse()?, &recipient.parse()?)
        })
        .await,
    )
}

async fn unshare_volume(
    State(daemon): Shared,
    Path((volume, recipient)): Path<(String, String)>,
) -> Response {
    respond(
        beside(&daemon, move |d| {
            operations::unshare_volume(d, &volume.parse()?, &recipient.parse()?)
        })
        .await,
    )
}

async fn volume(State(daemon): Shared, Path(name): Path<String>) -> Response {
    respond(beside(&daemon, move |d| operations::volume(d, &name.parse()?)).await)
}

async fn remove_volume(State(daemon): Shared, Path(name): Path<String>) -> Response {
    respond(
        beside(&daemon, move |d| {
            operations::remove_volume(d, &name.parse()?, Maker::Admin)
        })
        .await,
    )
}

async fn put_grant(State(daemon): Shared, body: Bytes) -> Response {
    respond(beside(&daemon, move |d| operations::grant(d, &parse::<Grant>(&body)?)).await)
}

async fn revoke(
    State(daemon): Shared,
    Path((volume, app)): Path<(String, String)>,
    Query(Now { now }): Query<Now>,
) -> Response {
    respond(
        beside(&daemon, move |d| {
            operations::revoke(d, &volume.parse()?, &app.parse()?, now)
        })
        .await,
    )
}

async fn seal_volume(
    State(daemon): Shared,
    Path(name): Path<String>,
    Query(Now { now }): Query<Now>,
) -> Response {
    respond(beside(&daemon, move |d| operations::seal_volume(d, &name.parse()?, now)).await)
}

async fn decision(State(daemon): Shared, Path(id): Path<String>) -> Response {
    respond(beside(&daemon, move |d| operations::decision(d, id.parse()?)).await)
}

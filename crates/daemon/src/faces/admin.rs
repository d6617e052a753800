//! The admin API (`cofferdam_model::api`): HTTP/JSON for root, who is the operator, and for members of tenants.
//!
//! INVARIANT: every handler asks [`Asker`] before it names anything of a tenant's.

use super::answer::{beside, parse, respond};
use super::{Stop, acts, ledger, socket};
use crate::daemon::Daemon;
use crate::docker_api;
use crate::operations::{self, Asker};
use crate::sealed::Signer;
use axum::body::Bytes;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{delete, get, post, put};
use axum::serve::IncomingStream;
use axum::{Extension, Router};
use cofferdam_linux::peer::{self, Peer};
use cofferdam_model::api::{DeedAct, NewApp, NewDeed, NewTicket, NewVolume};
use cofferdam_model::{AppName, Grant, Maker, Problem, Result, VolumeName};
use serde::{Deserialize, Serialize};
use std::os::fd::AsFd;
use std::sync::Arc;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, SemaphorePermit};
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
        .route("/v1/status", get(status))
        .route("/v1/tenants", get(tenants).post(create_tenant))
        .route("/v1/tenants/{tenant}", get(tenant).delete(remove_tenant))
        .route(
            "/v1/tenants/{tenant}/members/{user}",
            put(add_member).delete(remove_member),
        )
        .route("/v1/apps", get(apps).post(create_app))
        .route("/v1/apps/{app}", get(app).delete(remove_app))
        .route("/v1/tickets", post(issue_ticket))
        .route("/v1/volumes", get(volumes).post(create_volume))
        .route("/v1/volumes/{volume}", get(volume).delete(remove_volume))
        .route("/v1/volumes/{volume}/seal", post(seal_volume))
        .route("/v1/volumes/{volume}/accept-rollback", post(accept_rollback))
        .route(
            "/v1/volumes/{volume}/recipients/{recipient}",
            put(share_volume).delete(unshare_volume),
        )
        .route("/v1/adoptions", post(adopt_volume))
        .route("/v1/deeds", post(act_by_deed))
        .route("/v1/grants", get(grants).put(put_grant))
        .route("/v1/grants/{volume}/{app}", delete(revoke))
        .route("/v1/attachments", get(attachments))
        .route("/v1/decisions", get(decisions))
        .route("/v1/decisions/{id}", get(decision))
        .merge(ledger::routes())
        .fallback(async || respond::<()>(Err(Problem::missing("the admin API has no such path"))))
        .layer(from_fn_with_state(Arc::clone(daemon), acts::recorded))
        .layer(from_fn_with_state((Arc::clone(daemon), group), admit))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(Arc::clone(daemon))
}

/// Root, and the group's members who may act for a tenant; by the kernel's word alone.
async fn admit(
    State((daemon, group)): State<(Arc<Daemon>, Option<u32>)>,
    ConnectInfo(Caller(peer)): ConnectInfo<Caller>,
    mut request: Request,
    next: Next,
) -> Response {
    let connected = peer
        .as_ref()
        .filter(|peer| peer.uid == 0 || group.is_some_and(|group| peer.in_group(group)));
    let asker = match connected {
        Some(peer) => Asker::of(&daemon, peer.uid),
        None => Err(Problem::denied("the admin API is for root and one group")
            .remedy("run as root or join the group cofferdam")),
    };
    match asker {
        Ok(asker) => {
            // Where there is a body, not before that has arrived.
            let place = match *request.method() {
                Method::GET => place_for(&asker).await,
                _ => None,
            };
            request.extensions_mut().insert(asker);
            let response = next.run(request).await;
            drop(place);
            response
        }
        Err(problem) => {
            warn!(peer = ?peer.map(|peer| (peer.uid, peer.pid)), "refused at the admin API");
            respond::<()>(Err(problem))
        }
    }
}

/// How many requests of members are worked on at once; each takes a thread, of which there are several hundred.
static MEMBERS_AT_ONCE: Semaphore = Semaphore::const_new(32);

/// Waits until a request may be worked on: however much members ask for, there are threads left for the operator, and for
/// containers that start.
pub(super) async fn place_for(asker: &Asker) -> Option<SemaphorePermit<'static>> {
    match asker {
        Asker::Operator => None,
        Asker::Member(_) => MEMBERS_AT_ONCE.acquire().await.ok(),
    }
}

/// Who asks, as [`admit`] found it.
type Who = Extension<Asker>;

/// Does `work` beside the event loop, and answers.
async fn done<T, W>(daemon: &Arc<Daemon>, work: W) -> Response
where
    T: Serialize + Send + 'static,
    W: FnOnce(&Arc<Daemon>) -> Result<T> + Send + 'static,
{
    respond(beside(daemon, work).await)
}

async fn status(State(daemon): Shared, Extension(asker): Who) -> Response {
    done(&daemon, move |d| {
        operations::status(d).map(|status| asker.sees_of(d, status))
    })
    .await
}

async fn tenants(State(daemon): Shared, Extension(asker): Who) -> Response {
    done(&daemon, move |d| {
        let mut all = operations::tenants(d)?;
        all.retain(|tenant| asker.owns(&tenant.name));
        Ok(all)
    })
    .await
}

async fn create_tenant(State(daemon): Shared, Extension(asker): Who, body: Bytes) -> Response {
    done(&daemon, move |d| {
        asker.must_operate()?;
        operations::create_tenant(d, &parse(&body)?)
    })
    .await
}

async fn tenant(State(daemon): Shared, Extension(asker): Who, Path(name): Path<String>) -> Response {
    done(&daemon, move |d| {
        let name = name.parse()?;
        asker.must_own(&name)?;
        operations::tenant(d, &name)
    })
    .await
}

async fn remove_tenant(State(daemon): Shared, Extension(asker): Who, Path(name): Path<String>) -> Response {
    done(&daemon, move |d| {
        asker.must_operate()?;
        operations::remove_tenant(d, &name.parse()?)
    })
    .await
}

async fn add_member(
    State(daemon): Shared,
    Extension(asker): Who,
    Path((name, user)): Path<(String, String)>,
) -> Response {
    done(&daemon, move |d| {
        asker.must_operate()?;
        operations::add_member(d, &name.parse()?, &user)
    })
    .await
}

async fn remove_member(
    State(daemon): Shared,
    Extension(asker): Who,
    Path((name, user)): Path<(String, String)>,
) -> Response {
    done(&daemon, move |d| {
        asker.must_operate()?;
        operations::remove_member(d, &name.parse()?, &user)
    })
    .await
}

async fn apps(State(daemon): Shared, Extension(asker): Who) -> Response {
    done(&daemon, move |d| {
        let mut all = operations::apps(d)?;
        all.retain(|app| asker.owns(app.name.tenant()));
        Ok(all)
    })
    .await
}

async fn create_app(State(daemon): Shared, Extension(asker): Who, body: Bytes) -> Response {
    let app = async {
        let new: NewApp = parse(&body)?;
        asker.must_own(new.name.tenant())?;
        let image = docker_api::image_config(&daemon.settings, &new.image).await?;
        operations::pinned(new, image)
    };
    match app.await {
        Ok(app) => done(&daemon, move |d| operations::create_app(d, &app)).await,
        Err(problem) => respond::<()>(Err(problem)),
    }
}

async fn app(State(daemon): Shared, Extension(asker): Who, Path(name): Path<String>) -> Response {
    done(&daemon, move |d| operations::app(d, &owned_app(&asker, &name)?)).await
}

async fn remove_app(State(daemon): Shared, Extension(asker): Who, Path(name): Path<String>) -> Response {
    done(&daemon, move |d| {
        operations::remove_app(d, &owned_app(&asker, &name)?)
    })
    .await
}

async fn issue_ticket(State(daemon): Shared, Extension(asker): Who, body: Bytes) -> Response {
    done(&daemon, move |d| {
        let new: NewTicket = parse(&body)?;
        asker.must_own(new.app.tenant())?;
        operations::issue_ticket(d, &new)
    })
    .await
}

async fn volumes(State(daemon): Shared, Extension(asker): Who) -> Response {
    done(&daemon, move |d| {
        operations::volumes(d, |volume| asker.owns(volume.name.tenant()))
    })
    .await
}

async fn create_volume(State(daemon): Shared, Extension(asker): Who, body: Bytes) -> Response {
    done(&daemon, move |d| {
        let new: NewVolume = parse(&body)?;
        asker.must_own(new.name.tenant())?;
        operations::is_within_limits(d, &asker, &new)?;
        operations::create_volume(d, &new, Maker::Admin)
    })
    .await
}

async fn adopt_volume(State(daemon): Shared, Extension(asker): Who, body: Bytes) -> Response {
    done(&daemon, move |d| {
        asker.must_operate()?;
        operations::adopt_volume(d, &parse(&body)?)
    })
    .await
}

async fn act_by_deed(State(daemon): Shared, Extension(asker): Who, body: Bytes) -> Response {
    done(&daemon, move |d| {
        let new: NewDeed = parse(&body)?;
        asker.must_own(new.act.volume().tenant())?;
        if let DeedAct::Create(volume) = &new.act {
            operations::is_within_limits(d, &asker, volume)?;
        }
        operations::act_by_deed(d, &new)
    })
    .await
}

async fn share_volume(
    State(daemon): Shared,
    Extension(asker): Who,
    Path((volume, recipient)): Path<(String, String)>,
) -> Response {
    done(&daemon, move |d| {
        operations::share_volume(d, &owned_volume(&asker, &volume)?, &recipient.parse()?)
    })
    .await
}

async fn unshare_volume(
    State(daemon): Shared,
    Extension(asker): Who,
    Path((volume, recipient)): Path<(String, String)>,
) -> Response {
    done(&daemon, move |d| {
        operations::unshare_volume(d, &owned_volume(&asker, &volume)?, &recipient.parse()?)
    })
    .await
}

async fn volume(State(daemon): Shared, Extension(asker): Who, Path(name): Path<String>) -> Response {
    done(&daemon, move |d| {
        operations::volume(d, &owned_volume(&asker, &name)?)
    })
    .await
}

async fn remove_volume(State(daemon): Shared, Extension(asker): Who, Path(name): Path<String>) -> Response {
    done(&daemon, move |d| {
        operations::remove_volume(d, &owned_volume(&asker, &name)?, Maker::Admin)
    })
    .await
}

async fn grants(State(daemon): Shared, Extension(asker): Who) -> Response {
    done(&daemon, move |d| {
        let mut all = operations::grants(d)?;
        all.retain(|grant| asker.sees_grant(grant));
        Ok(all)
    })
    .await
}

async fn put_grant(State(daemon): Shared, Extension(asker): Who, body: Bytes) -> Response {
    done(&daemon, move |d| {
        let grant: Grant = parse(&body)?;
        asker.must_own(grant.volume.tenant())?;
        operations::grant(d, &grant, &Signer::Host)
    })
    .await
}

async fn revoke(
    State(daemon): Shared,
    Extension(asker): Who,
    Path((volume, app)): Path<(String, String)>,
    Query(Now { now }): Query<Now>,
) -> Response {
    done(&daemon, move |d| {
        let volume = owned_volume(&asker, &volume)?;
        operations::revoke(d, &volume, &app.parse()?, now, &Signer::Host)
    })
    .await
}

async fn seal_volume(
    State(daemon): Shared,
    Extension(asker): Who,
    Path(name): Path<String>,
    Query(Now { now }): Query<Now>,
) -> Response {
    done(&daemon, move |d| {
        operations::seal_volume(d, &owned_volume(&asker, &name)?, now)
    })
    .await
}

async fn accept_rollback(State(daemon): Shared, Extension(asker): Who, Path(name): Path<String>) -> Response {
    done(&daemon, move |d| {
        asker.must_operate()?;
        operations::accept_rollback(d, &name.parse()?)
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
    done(&daemon, move |d| {
        operations::decision(d, id.parse()?, |decision| asker.sees_decision(decision))
    })
    .await
}

/// An app of the asker's.
fn owned_app(asker: &Asker, name: &str) -> Result<AppName> {
    let name: AppName = name.parse()?;
    asker.must_own(name.tenant())?;
    Ok(name)
}

/// A volume of the asker's.
fn owned_volume(asker: &Asker, name: &str) -> Result<VolumeName> {
    let name: VolumeName = name.parse()?;
    asker.must_own(name.tenant())?;
    Ok(name)
}

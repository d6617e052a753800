//! The admin API (`cofferdam_model::api`): HTTP/JSON for root, who is the operator, and for members of tenants.
//!
//! INVARIANT: every handler asks [`Asker`] before it names anything of a tenant's.

use super::answer::respond;
use super::{Stop, acts, host_paths, ledger, owners, socket, volumes, watching};
use crate::daemon::Daemon;
use crate::operations::Asker;
use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::serve::IncomingStream;
use cofferdam_linux::peer::{self, Peer};
use cofferdam_model::{Problem, Result};
use std::os::fd::AsFd;
use std::sync::Arc;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::warn;

/// The longest request, in bytes.
pub(super) const BODY_MAX: usize = 1 << 20;

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
        .merge(owners::routes())
        .merge(host_paths::routes())
        .merge(volumes::routes())
        .merge(watching::routes())
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

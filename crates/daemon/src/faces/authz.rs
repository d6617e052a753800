//! The Docker AuthZ plugin, protocol v1: what clients ask of Docker, told to us before Docker does it, where the operator has Docker ask.
//!
//! It refuses sooner what the road would refuse later, closes roads on which no runtime is asked, and puts into the ledger which
//! user of Docker's asked. Nothing depends on it: what a container may have is decided on the road.
//!
//! INVARIANT: nothing here asks Docker, which waits for the answer with a client's request in its hands; also for our own.
//!
//! Source: Docker's documentation, "Access authorization plugin"; moby, `pkg/authorization`.

use super::answer::{beside, json, parse};
use crate::daemon::Daemon;
use crate::road::{self, Early};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cofferdam_engine_api::{Request, Wish};
use cofferdam_ledger::{Actor, Event};
use cofferdam_model::{Problem, Result, VolumeName};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::json as value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tracing::{info, warn};

/// The longest request, in bytes: Docker passes on bodies of up to 4 MiB, in base64, with as much beside them.
const BODY_MAX: usize = 16 << 20;

/// How long one may take. Docker's clients wait meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is there beside the volume plugin.
pub(super) fn routes() -> Router<Arc<Daemon>> {
    Router::new()
        .route("/AuthZPlugin.AuthZReq", post(request))
        .route("/AuthZPlugin.AuthZRes", post(response))
}

/// A client's request, as Docker tells of it.
#[derive(Deserialize)]
struct Told {
    #[serde(rename = "User", default)]
    user: String,
    #[serde(rename = "UserAuthNMethod", default)]
    method_of_user: String,
    #[serde(rename = "RequestMethod", default)]
    method: String,
    #[serde(rename = "RequestUri", default)]
    uri: String,
    #[serde(rename = "RequestBody", default)]
    body: Option<String>,
}

/// How many are read and judged at once: each may be as long as [`BODY_MAX`], and takes a thread.
static AT_ONCE: Semaphore = Semaphore::const_new(32);

async fn request(State(daemon): State<Arc<Daemon>>, body: Body) -> Response {
    let work = async {
        let _place = AT_ONCE.acquire().await;
        let body = to_bytes(body, BODY_MAX)
            .await
            .map_err(|error| Problem::invalid(format!("the request cannot be read: {error}")))?;
        beside(&daemon, move |daemon| judged(daemon, &body)).await
    };
    let judged = tokio::time::timeout(PATIENCE, work).await;
    answer(judged.unwrap_or_else(|_| {
        Err(Problem::unavailable("the request could not be judged in time").remedy("try again"))
    }))
}

/// What Docker has done is done.
async fn response(mut body: Body) -> Response {
    // Docker goes on when all of it was taken.
    while let Some(Ok(_)) = body.frame().await {}
    answer(Ok(()))
}

fn answer(result: Result<()>) -> Response {
    let body = match result {
        Ok(()) => value!({"Allow": true}),
        Err(problem) => value!({"Allow": false, "Msg": problem.to_string()}),
    };
    json(StatusCode::OK, body.to_string().into_bytes())
}

fn judged(daemon: &Arc<Daemon>, body: &Bytes) -> Result<()> {
    let told: Told = parse(body)?;
    let sent = told.body.as_deref().unwrap_or_default();
    let sent = STANDARD
        .decode(sent)
        .map_err(|error| Problem::invalid(format!("the request's body cannot be read: {error}")))?;
    let request = Request {
        method: &told.method,
        uri: &told.uri,
        body: &sent,
    };
    let by = Actor::docker(&told.user, &told.method_of_user);
    match road::judge_early(daemon, &request) {
        Early::Passed(wishes) => daemon.record_any(acts(daemon, &wishes, &by)),
        Early::Observed(wishes, problem) => {
            let seen = refused("would have refused", &told, &problem, by.clone());
            daemon.record_any([vec![seen], acts(daemon, &wishes, &by)].concat())
        }
        Early::Refused(problem) => {
            let method = &told.method;
            info!(?by, %method, uri = ?told.uri, kind = problem.kind.word(), "refused: {problem}");
            if let Err(error) = daemon.record(vec![refused("refused", &told, &problem, by)]) {
                warn!("a refusal is not in the ledger: {error}");
            }
            Err(problem)
        }
    }
}

fn refused(how: &str, told: &Told, problem: &Problem, by: Actor) -> Event {
    let request: String = format!("{} {}", told.method, told.uri).escape_debug().collect();
    Event::Act {
        verb: how.to_owned(),
        subject: request,
        detail: vec![problem.to_string()],
        by,
    }
}

/// What of ours would be touched, to be recorded before it is.
fn acts(daemon: &Daemon, wishes: &[Wish], by: &Actor) -> Vec<Event> {
    let known = daemon.state.now();
    let is_known = |name: &&VolumeName| known.volume(name).is_ok();
    let ours = |name: &str| name.parse::<VolumeName>().ok();
    let act = |verb: &str, name: &VolumeName| Event::Act {
        verb: verb.to_owned(),
        subject: name.to_string(),
        detail: Vec::new(),
        by: by.clone(),
    };
    let mut events = Vec::new();
    let mut named = BTreeSet::new();
    for wish in wishes {
        match wish {
            Wish::Volume(name) => named.extend(ours(name).filter(|name| is_known(&name))),
            Wish::NewVolume { name, driver } if driver == daemon.settings.driver_name() => {
                events.extend(ours(name).map(|name| act("asked Docker to create volume", &name)));
            }
            Wish::NoVolume(name) => {
                let name = ours(name).filter(|name| is_known(&name));
                events.extend(name.map(|name| act("asked Docker to remove volume", &name)));
            }
            _ => {}
        }
    }
    events.extend(
        named
            .iter()
            .map(|name| act("asked Docker for a container with volume", name)),
    );
    events
}

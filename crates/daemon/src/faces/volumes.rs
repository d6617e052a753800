//! The admin API's part about volumes and who may open them: volumes, grants, recipients, deeds.

use super::answer::{Shared, Who, done, parse};
use crate::daemon::Daemon;
use crate::operations::{self, Asker};
use crate::sealed::Signer;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{delete, get, post, put};
use axum::{Extension, Router};
use cofferdam_model::api::{DeedAct, NewDeed, NewSize, NewVolume};
use cofferdam_model::{Grant, Maker, Result, VolumeName};
use serde::Deserialize;
use std::sync::Arc;

/// Whether what is open is to be taken back too.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Now {
    #[serde(default)]
    now: bool,
}

/// The routes.
pub(super) fn routes() -> Router<Arc<Daemon>> {
    Router::new()
        .route("/v1/volumes", get(volumes).post(create_volume))
        .route("/v1/volumes/{volume}", get(volume).delete(remove_volume))
        .route("/v1/volumes/{volume}/seal", post(seal_volume))
        .route("/v1/volumes/{volume}/rotate", post(rotate_volume))
        .route("/v1/volumes/{volume}/size", put(grow_volume))
        .route("/v1/volumes/{volume}/accept-rollback", post(accept_rollback))
        .route(
            "/v1/volumes/{volume}/recipients/{recipient}",
            put(share_volume).delete(unshare_volume),
        )
        .route("/v1/adoptions", post(adopt_volume))
        .route("/v1/deeds", post(act_by_deed))
        .route("/v1/grants", get(grants).put(put_grant))
        .route("/v1/grants/{volume}/{app}", delete(revoke))
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
        operations::act_by_deed(d, &asker, &new)
    })
    .await
}

async fn share_volume(
    State(daemon): Shared,
    Extension(asker): Who,
    Path((volume, recipient)): Path<(String, String)>,
) -> Response {
    done(&daemon, move |d| {
        let volume = owned_volume(&asker, &volume)?;
        operations::share_volume(d, &volume, &recipient.parse()?, &Signer::Host)
    })
    .await
}

async fn unshare_volume(
    State(daemon): Shared,
    Extension(asker): Who,
    Path((volume, recipient)): Path<(String, String)>,
) -> Response {
    done(&daemon, move |d| {
        let volume = owned_volume(&asker, &volume)?;
        operations::unshare_volume(d, &volume, &recipient.parse()?, &Signer::Host)
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

async fn rotate_volume(State(daemon): Shared, Extension(asker): Who, Path(name): Path<String>) -> Response {
    done(&daemon, move |d| {
        operations::rotate_volume(d, &owned_volume(&asker, &name)?, &Signer::Host)
    })
    .await
}

async fn grow_volume(
    State(daemon): Shared,
    Extension(asker): Who,
    Path(name): Path<String>,
    body: Bytes,
) -> Response {
    done(&daemon, move |d| {
        let NewSize { size } = parse(&body)?;
        operations::grow_volume(d, &asker, &owned_volume(&asker, &name)?, size, &Signer::Host)
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

/// A volume of the asker's.
fn owned_volume(asker: &Asker, name: &str) -> Result<VolumeName> {
    let name: VolumeName = name.parse()?;
    asker.must_own(name.tenant())?;
    Ok(name)
}

//! The admin API's part about owners and what they trust: tenants, members, apps, tickets.

use super::answer::{Shared, Who, done, parse, respond};
use crate::daemon::Daemon;
use crate::docker_api;
use crate::operations::{self, Asker};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post, put};
use axum::{Extension, Router};
use cofferdam_model::api::{NewApp, NewTicket};
use cofferdam_model::{AppName, Privilege, Result};
use std::sync::Arc;

/// The routes.
pub(super) fn routes() -> Router<Arc<Daemon>> {
    Router::new()
        .route("/v1/tenants", get(tenants).post(create_tenant))
        .route("/v1/tenants/{tenant}", get(tenant).delete(remove_tenant))
        .route(
            "/v1/tenants/{tenant}/members/{user}",
            put(add_member).delete(remove_member),
        )
        .route("/v1/apps", get(apps).post(create_app))
        .route("/v1/apps/{app}", get(app).delete(remove_app))
        .route("/v1/learn", post(learn))
        .route("/v1/tickets", post(issue_ticket))
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
        // It would reach past every tenant's walls.
        if new.allow.iter().any(Privilege::is_the_operators) {
            asker.must_operate()?;
        }
        let image = docker_api::image_config(&daemon.settings, &new.image).await?;
        let replace = new.replace;
        Ok((operations::pinned(new, image)?, replace))
    };
    match app.await {
        Ok((app, replace)) => done(&daemon, move |d| operations::create_app(d, &app, replace)).await,
        Err(problem) => respond::<()>(Err(problem)),
    }
}

async fn learn(State(daemon): Shared, Extension(asker): Who, body: Bytes) -> Response {
    done(&daemon, move |d| {
        // What a container runs is not for every tenant to see.
        asker.must_operate()?;
        operations::learn(d, &parse(&body)?)
    })
    .await
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

/// An app of the asker's.
fn owned_app(asker: &Asker, name: &str) -> Result<AppName> {
    let name: AppName = name.parse()?;
    asker.must_own(name.tenant())?;
    Ok(name)
}

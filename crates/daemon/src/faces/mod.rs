//! The daemon's three sockets.

mod acts;
mod admin;
mod answer;
mod authz;
mod host_paths;
mod ledger;
mod owners;
mod plugin;
mod runtime;
mod socket;
mod volumes;
mod watching;

use crate::daemon::Daemon;
use cofferdam_model::Result;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Tells every face to stop.
#[derive(Clone)]
pub(crate) struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Stop(watch::Sender::new(false))
    }
}

impl Stop {
    /// Stops every face.
    pub(crate) fn now(&self) {
        self.0.send_replace(true);
    }

    /// Ends when the faces are to stop.
    pub(super) async fn told(&self) {
        let mut told = self.0.subscribe();
        while !*told.borrow_and_update() {
            if told.changed().await.is_err() {
                return;
            }
        }
    }
}

/// The faces at work.
pub(crate) struct Serving(JoinSet<()>);

impl Serving {
    /// Ends when every face has answered what it was asked.
    pub(crate) async fn finished(mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

/// Opens all three sockets and serves them.
///
/// # Errors
/// `unavailable` where a socket cannot be opened.
pub(crate) fn serve_all(daemon: &Arc<Daemon>, stop: &Stop) -> Result<Serving> {
    let mut faces = JoinSet::new();
    faces.spawn(runtime::face(daemon, stop)?);
    faces.spawn(admin::face(daemon, stop)?);
    faces.spawn(plugin::face(daemon, stop)?);
    Ok(Serving(faces))
}

//! Host paths that somebody has a grant on: from the first grant on they are open to the apps that were named, and to nobody else.
//!
//! The innermost granted path that a source lies in decides. A source that contains a granted path, and lies in none, would be a way
//! round the grant.

use super::place::{Mounted, Place, places};
use crate::daemon::Daemon;
use cofferdam_model::{HostPath, MeasuredMount, Measurement, Problem, Result};
use cofferdam_policy::Bound;
use jiff::Timestamp;

/// Every granted path that there is on this host, innermost first.
pub(super) struct Granted(Vec<(HostPath, Place)>);

impl Granted {
    /// Where they lie now.
    ///
    /// # Errors
    /// `unavailable` where that cannot be told.
    pub(super) fn of(daemon: &Daemon, table: &[Mounted]) -> Result<Self> {
        let mut paths: Vec<HostPath> = daemon.state.now().facts().granted_host_paths().cloned().collect();
        paths.sort_by_key(|path| std::cmp::Reverse(path.as_path().components().count()));
        let mut granted = Vec::new();
        for path in paths {
            let found = places(&[path.as_path().to_owned()], table)?;
            granted.extend(found.into_iter().map(|place| (path.clone(), place)));
        }
        Ok(Granted(granted))
    }

    /// Who the container is and how it may bind what lies at `place`, where somebody has a grant on that. `is_free` says that it
    /// is anybody's as long as nobody has.
    ///
    /// # Errors
    /// `denied`, with what would allow it.
    pub(super) fn bind(
        &self,
        daemon: &Daemon,
        measurement: &Measurement,
        mount: &MeasuredMount,
        (place, table): (&Place, &[Mounted]),
        is_free: bool,
    ) -> Result<Option<Bound>> {
        let around = self.0.iter().find(|(_, granted)| place.lies_in(granted));
        if let Some((path, _)) = around {
            let known = daemon.state.now();
            let bound = daemon
                .judge
                .bind(known.facts(), measurement, mount, path, Timestamp::now())?;
            return Ok(Some(bound));
        }
        let shown = place.path.display();
        let below = place.mounted_below(table);
        if let Some((path, _)) = self.0.iter().find(|(_, granted)| place.brings(granted, &below)) {
            return Err(Problem::denied(format!(
                "the host path {shown}, to be bound at {:?}, contains {path}, which is granted to named apps alone",
                mount.destination
            ))
            .remedy("bind a directory that holds only what the container needs; or have the operator grant this one too"));
        }
        if daemon.settings.guard.host_paths_need_grant && !is_free {
            return Err(Problem::denied(format!(
                "no app has a grant on the host path {shown}, to be bound at {:?}",
                mount.destination
            ))
            .remedy(format!("cofferdam host-path allow {shown} --to APP")));
        }
        Ok(None)
    }

    /// Whether what lies at `place` may be copied by whoever asks: there is no container then that could be an app.
    ///
    /// # Errors
    /// `denied` where somebody has a grant on it, or needs one.
    pub(super) fn copied(
        &self,
        daemon: &Daemon,
        place: &Place,
        table: &[Mounted],
        is_free: bool,
    ) -> Result<()> {
        let below = place.mounted_below(table);
        let meets = |granted: &Place| place.lies_in(granted) || place.brings(granted, &below);
        let is_granted = self.0.iter().any(|(_, granted)| meets(granted));
        if !is_granted && (is_free || !daemon.settings.guard.host_paths_need_grant) {
            return Ok(());
        }
        Err(Problem::denied(format!(
            "the host path {}, which the container binds, is for named apps alone, and Docker would copy it for anybody",
            place.path.display()
        ))
        .remedy("copy from inside the container"))
    }
}

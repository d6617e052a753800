//! What the registry says, in memory and indexed for deciding: apps and grants.
//!
//! A decision must not take longer when there are more facts, so every lookup is by key. Names are shared
//! between grants, which keeps 100,000 of them within some tens of MiB.
//!
//! What this does not do: check that a grant's app or volume exists. A grant may arrive before its app.

use crate::names::Names;
use cofferdam_model::{App, AppName, Grant, HostPath, HostPathGrant, Sha256, VolumeName};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// A snapshot of all apps and grants.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    apps: BTreeMap<AppName, Arc<App>>,
    apps_by_image: HashMap<Sha256, BTreeSet<AppName>>,
    volume_names: Names<VolumeName>,
    app_names: Names<AppName>,
    /// By volume, then app. `None` is never stored: it sorts before every app, and so begins a range.
    grants: BTreeMap<(Arc<VolumeName>, Option<Arc<AppName>>), Right>,
    /// The same keys the other way round.
    grants_by_app: BTreeSet<(Arc<AppName>, Option<Arc<VolumeName>>)>,
    host_paths: BTreeMap<HostPath, BTreeMap<AppName, HostPathGrant>>,
}

/// What a grant gives, without its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Right {
    pub(crate) write: bool,
    pub(crate) exec: bool,
    pub(crate) until: Option<Timestamp>,
}

impl Right {
    /// The grant that gives it.
    pub(crate) fn grant(self, volume: &VolumeName, app: &AppName) -> Grant {
        Grant {
            volume: volume.clone(),
            app: app.clone(),
            write: self.write,
            exec: self.exec,
            until: self.until,
        }
    }
}

impl Facts {
    /// Nothing is known, so nothing is allowed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an app, or replaces the one of its name; answers with the one replaced.
    pub fn insert_app(&mut self, app: App) -> Option<Arc<App>> {
        let replaced = self.remove_app(&app.name);
        let same_image = self.apps_by_image.entry(app.rule.image).or_default();
        same_image.insert(app.name.clone());
        self.apps.insert(app.name.clone(), Arc::new(app));
        replaced
    }

    /// Takes an app away; its grants stay, and give nothing without it.
    pub fn remove_app(&mut self, name: &AppName) -> Option<Arc<App>> {
        let removed = self.apps.remove(name)?;
        let image = removed.rule.image;
        if let Some(same_image) = self.apps_by_image.get_mut(&image) {
            same_image.remove(name);
            if same_image.is_empty() {
                self.apps_by_image.remove(&image);
            }
        }
        Some(removed)
    }

    /// Adds a grant, or replaces the one of the same app on the same volume; answers with the one replaced.
    pub fn insert_grant(&mut self, grant: &Grant) -> Option<Grant> {
        let replaced = self.remove_grant(&grant.volume, &grant.app);
        let volume = self.volume_names.hold(&grant.volume);
        let app = self.app_names.hold(&grant.app);
        let right = Right {
            write: grant.write,
            exec: grant.exec,
            until: grant.until,
        };
        self.grants_by_app
            .insert((Arc::clone(&app), Some(Arc::clone(&volume))));
        self.grants.insert((volume, Some(app)), right);
        replaced
    }

    /// Takes a grant away, and answers with it.
    pub fn remove_grant(&mut self, volume: &VolumeName, app: &AppName) -> Option<Grant> {
        let shared_volume = self.volume_names.get(volume)?;
        let shared_app = self.app_names.get(app)?;
        let key = (shared_volume, Some(shared_app));
        let right = self.grants.remove(&key)?;
        if let (shared_volume, Some(shared_app)) = key {
            self.grants_by_app.remove(&(shared_app, Some(shared_volume)));
        }
        self.volume_names.release(volume);
        self.app_names.release(app);
        Some(right.grant(volume, app))
    }

    /// The app of this name.
    pub fn app(&self, name: &AppName) -> Option<&App> {
        self.apps.get(name).map(Arc::as_ref)
    }

    /// Every app, sorted by name.
    pub fn apps(&self) -> impl Iterator<Item = &App> {
        self.apps.values().map(Arc::as_ref)
    }

    /// The apps whose rule has this image, sorted by name.
    pub fn apps_of_image(&self, config: &Sha256) -> impl Iterator<Item = &App> {
        self.apps_by_image
            .get(config)
            .into_iter()
            .flatten()
            .filter_map(|name| self.app(name))
    }

    /// The grant of this app on this volume.
    pub fn grant(&self, volume: &VolumeName, app: &AppName) -> Option<Grant> {
        self.right(volume, app).map(|right| right.grant(volume, app))
    }

    /// Every grant on this volume, sorted by app.
    pub fn grants_on(&self, volume: &VolumeName) -> impl Iterator<Item = Grant> {
        self.rights_on(volume)
            .map(|(app, right)| right.grant(volume, app))
    }

    /// Every grant of this app, sorted by volume.
    pub fn grants_of(&self, app: &AppName) -> impl Iterator<Item = Grant> {
        let start = self.app_names.get(app).map(|shared| (shared, None));
        start
            .into_iter()
            .flat_map(|start| self.grants_by_app.range(start..))
            .take_while(move |(found, _)| **found == *app)
            .filter_map(|(_, volume)| volume.as_deref())
            .filter_map(move |volume| self.grant(volume, app))
    }

    /// Adds a grant on a host path, or replaces the one of the same app on the same path.
    pub fn insert_host_path_grant(&mut self, grant: &HostPathGrant) {
        let on_path = self.host_paths.entry(grant.path.clone()).or_default();
        on_path.insert(grant.app.clone(), grant.clone());
    }

    /// Takes a grant on a host path away. With the last one the path is nobody's in particular again.
    pub fn remove_host_path_grant(&mut self, path: &HostPath, app: &AppName) {
        if let Some(on_path) = self.host_paths.get_mut(path) {
            on_path.remove(app);
            if on_path.is_empty() {
                self.host_paths.remove(path);
            }
        }
    }

    /// The host paths that somebody has a grant on, sorted.
    pub fn granted_host_paths(&self) -> impl Iterator<Item = &HostPath> {
        self.host_paths.keys()
    }

    /// Every grant on a host path, sorted by path, then app.
    pub fn host_path_grants(&self) -> impl Iterator<Item = &HostPathGrant> {
        self.host_paths.values().flat_map(BTreeMap::values)
    }

    /// The grant of this app on this host path.
    pub fn host_path_grant(&self, path: &HostPath, app: &AppName) -> Option<&HostPathGrant> {
        self.host_paths.get(path)?.get(app)
    }

    /// The apps with a grant on this host path whose rule has this image, sorted by name.
    pub(crate) fn may_bind(
        &self,
        path: &HostPath,
        config: &Sha256,
    ) -> impl Iterator<Item = (&App, &HostPathGrant)> {
        let on_path = self.host_paths.get(path).into_iter().flatten();
        on_path
            .filter_map(|(name, grant)| Some((self.app(name)?, grant)))
            .filter(|(app, _)| app.rule.image == *config)
    }

    /// How many apps there are.
    pub fn app_count(&self) -> usize {
        self.apps.len()
    }

    /// How many grants there are.
    pub fn grant_count(&self) -> usize {
        self.grants.len()
    }

    /// What this app may do with this volume.
    pub(crate) fn right(&self, volume: &VolumeName, app: &AppName) -> Option<Right> {
        let key = (self.volume_names.get(volume)?, Some(self.app_names.get(app)?));
        self.grants.get(&key).copied()
    }

    /// Who may do what with this volume, sorted by app.
    pub(crate) fn rights_on(&self, volume: &VolumeName) -> impl Iterator<Item = (&AppName, Right)> {
        let start = self.volume_names.get(volume).map(|shared| (shared, None));
        start
            .into_iter()
            .flat_map(|start| self.grants.range(start..))
            .take_while(move |((found, _), _)| **found == *volume)
            .filter_map(|((_, app), right)| app.as_deref().map(|app| (app, *right)))
    }

    /// The apps with a grant on this volume whose rule has this image, sorted by name. Goes through whichever
    /// are fewer, the grants or the apps.
    pub(crate) fn candidates(&self, volume: &VolumeName, config: &Sha256) -> Vec<(&App, Right)> {
        let same_image = self.apps_by_image.get(config).map_or(0, BTreeSet::len);
        if same_image <= self.volume_names.uses(volume) {
            self.apps_of_image(config)
                .filter_map(|app| Some((app, self.right(volume, &app.name)?)))
                .collect()
        } else {
            self.rights_on(volume)
                .filter_map(|(name, right)| Some((self.app(name)?, right)))
                .filter(|(app, _)| app.rule.image == *config)
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{app, grant};
    use proptest::prelude::*;

    #[test]
    fn what_is_removed_is_gone_from_every_index() {
        let mut facts = Facts::new();
        let web = app("a.web", 1);
        facts.insert_app(web.clone());
        facts.insert_grant(&grant("a.v", "a.web"));
        assert_eq!(
            facts.candidates(&"a.v".parse().unwrap(), &web.rule.image).len(),
            1
        );
        facts.remove_app(&web.name).unwrap();
        assert_eq!(facts.apps_of_image(&web.rule.image).count(), 0);
        assert_eq!(
            facts.candidates(&"a.v".parse().unwrap(), &web.rule.image).len(),
            0
        );
        facts.remove_grant(&"a.v".parse().unwrap(), &web.name).unwrap();
        assert_eq!((facts.app_count(), facts.grant_count()), (0, 0));
        assert_eq!(facts.volume_names.uses(&"a.v".parse().unwrap()), 0);
        assert_eq!(facts.app_names.uses(&web.name), 0);
    }

    #[test]
    fn a_new_image_moves_the_app() {
        let mut facts = Facts::new();
        let (old, new) = (app("a.web", 1), app("a.web", 2));
        facts.insert_app(old.clone());
        assert_eq!(*facts.insert_app(new.clone()).unwrap(), old);
        assert_eq!(facts.apps_of_image(&old.rule.image).count(), 0);
        assert_eq!(facts.apps_of_image(&new.rule.image).count(), 1);
    }

    proptest! {
        /// Against the simplest thing that could work: a map of all grants.
        #[test]
        fn indexes_agree_with_a_plain_map(steps in proptest::collection::vec((0..6u8, 0..6u8, any::<bool>(), any::<bool>()), 0..80)) {
            let mut facts = Facts::new();
            let mut plain = BTreeMap::new();
            for (volume, app, write, insert) in steps {
                let mut grant = grant(&format!("t.v{volume}"), &format!("t.a{app}"));
                grant.write = write;
                let key = (grant.volume.clone(), grant.app.clone());
                if insert {
                    prop_assert_eq!(facts.insert_grant(&grant), plain.insert(key, grant));
                } else {
                    prop_assert_eq!(facts.remove_grant(&key.0, &key.1), plain.remove(&key));
                }
            }
            prop_assert_eq!(facts.grant_count(), plain.len());
            for n in 0..6u8 {
                let volume: VolumeName = format!("t.v{n}").parse().unwrap();
                let app: AppName = format!("t.a{n}").parse().unwrap();
                let on: Vec<Grant> = plain.values().filter(|g| g.volume == volume).cloned().collect();
                let of: Vec<Grant> = plain.values().filter(|g| g.app == app).cloned().collect();
                prop_assert_eq!(facts.volume_names.uses(&volume), on.len());
                prop_assert_eq!(facts.grants_on(&volume).collect::<Vec<_>>(), on);
                prop_assert_eq!(facts.grants_of(&app).collect::<Vec<_>>(), of);
            }
        }
    }
}

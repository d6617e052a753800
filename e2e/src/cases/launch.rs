//! A container as its user types it: the words of `docker run` and `docker create`, in one place.

use super::Scene;
use crate::{
    Outcome, Ran,
    command::{Running, start},
};

/// What stands behind `docker run`.
#[derive(Debug, Clone)]
pub struct Launch {
    runtime: Option<String>,
    options: Vec<String>,
    image: String,
    argv: Vec<String>,
}

impl Launch {
    /// An image with its own command, started by Cofferdam's runtime.
    pub fn of(image: &str) -> Self {
        Launch {
            runtime: Some("cofferdam".to_owned()),
            options: Vec::new(),
            image: image.to_owned(),
            argv: Vec::new(),
        }
    }

    /// By another runtime.
    #[must_use]
    pub fn by(mut self, runtime: &str) -> Self {
        self.runtime = Some(runtime.to_owned());
        self
    }

    /// By whatever the engine takes where nobody says.
    #[must_use]
    pub fn by_default(mut self) -> Self {
        self.runtime = None;
        self
    }

    /// With a volume, or a host's path, at this place.
    #[must_use]
    pub fn volume(self, source: &str, at: &str) -> Self {
        self.options(&["--volume", &format!("{source}:{at}")])
    }

    /// With more options.
    #[must_use]
    pub fn options(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(ToString::to_string));
        self
    }

    /// With another command than the image's.
    #[must_use]
    pub fn argv(mut self, argv: &[&str]) -> Self {
        self.argv = argv.iter().map(ToString::to_string).collect();
        self
    }

    /// `docker run --rm …`, to its end.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn run(&self, scene: &Scene) -> Outcome<Ran> {
        scene.docker(&self.words(&["run", "--rm"]))
    }

    /// `docker run --rm …`, without waiting for it.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn begin(&self, scene: &Scene) -> Outcome<Running> {
        start(&scene.host.command("docker", &self.words(&["run", "--rm"])))
    }

    /// `docker run --detach …`, whatever comes of it.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn try_detached(&self, scene: &Scene) -> Outcome<Ran> {
        scene.docker(&self.words(&["run", "--detach"]))
    }

    /// `docker run --detach …`; answers the container's id.
    ///
    /// # Errors
    /// Where Docker or Cofferdam refuses.
    pub fn detached(&self, scene: &Scene) -> Outcome<String> {
        Ok(self.try_detached(scene)?.ok()?.text())
    }

    /// `docker create …`; answers the container's id.
    ///
    /// # Errors
    /// Where Docker refuses.
    pub fn created(&self, scene: &Scene) -> Outcome<String> {
        Ok(scene.docker(&self.words(&["create"]))?.ok()?.text())
    }

    fn words<'a>(&'a self, verb: &[&'a str]) -> Vec<&'a str> {
        let runtime = self.runtime.iter().flat_map(|name| ["--runtime", name]);
        let each = |words: &'a [String]| words.iter().map(String::as_str);
        verb.iter()
            .copied()
            .chain(runtime)
            .chain(each(&self.options))
            .chain([self.image.as_str()])
            .chain(each(&self.argv))
            .collect()
    }
}

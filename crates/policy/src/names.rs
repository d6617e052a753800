//! Each name once in memory, however many grants name it.

use std::{collections::BTreeMap, sync::Arc};

/// Names in use, each with the number of its uses.
#[derive(Debug, Clone)]
pub(crate) struct Names<T>(BTreeMap<Arc<T>, usize>);

impl<T> Default for Names<T> {
    fn default() -> Self {
        Names(BTreeMap::new())
    }
}

impl<T: Ord + Clone> Names<T> {
    /// The shared name, with one use more.
    pub(crate) fn hold(&mut self, name: &T) -> Arc<T> {
        let shared = self.get(name).unwrap_or_else(|| Arc::new(name.clone()));
        let uses = self.0.entry(Arc::clone(&shared)).or_default();
        *uses = uses.saturating_add(1);
        shared
    }

    /// One use less; a name without a use is forgotten.
    pub(crate) fn release(&mut self, name: &T) {
        let left = self.0.get_mut(name).map(|uses| {
            *uses = uses.saturating_sub(1);
            *uses
        });
        if left == Some(0) {
            self.0.remove(name);
        }
    }

    /// The shared name, if it is in use.
    pub(crate) fn get(&self, name: &T) -> Option<Arc<T>> {
        self.0.get_key_value(name).map(|(shared, _)| Arc::clone(shared))
    }

    /// How often it is used.
    pub(crate) fn uses(&self, name: &T) -> usize {
        self.0.get(name).copied().unwrap_or(0)
    }
}

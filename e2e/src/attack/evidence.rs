//! What an attacker came to hold, and what he was told.

use crate::Ran;

/// What came of an act.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// What he obtained; none where nothing.
    pub obtained: Option<String>,
    /// Everything that he was told.
    pub said: String,
}

impl Evidence {
    /// He obtained `what`, where `holds`.
    pub(super) fn when(holds: bool, what: &str, said: impl Into<String>) -> Self {
        Evidence {
            obtained: holds.then(|| what.to_owned()),
            said: said.into(),
        }
    }

    /// What a program printed has `secret` in it.
    pub(super) fn seen(ran: &Ran, secret: &str) -> Self {
        Self::when(ran.said().contains(secret), "the secret was read", ran.said())
    }

    /// Both: what either obtained was obtained.
    pub(super) fn and(self, other: Evidence) -> Self {
        Evidence {
            obtained: self.obtained.or(other.obtained),
            said: format!("{}{}", self.said, other.said),
        }
    }

    /// The first sentence of Cofferdam's in what he was told.
    pub(super) fn sentence(&self) -> Option<&str> {
        let begin = self.said.find("cofferdam: ")?;
        self.said.get(begin..)?.lines().next()
    }
}

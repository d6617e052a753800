//! What an attack is: who does what, what should come of it, and whether plain Docker lets it happen.

use super::{evidence::Evidence, ground::Ground};
use crate::Outcome;
use std::fmt;

/// Who attacks. None of them is root on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attacker {
    /// Whoever may speak to Docker's API.
    Client,
    /// What runs in a container.
    Container,
    /// A process on the host that is not root.
    Process,
    /// Another tenant of the host.
    Tenant,
    /// Whoever has the disk in his hands, without the keys, and may put it back.
    Thief,
    /// Whoever starts containers below Docker, by containerd or the runtime itself.
    Below,
}

impl fmt::Display for Attacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Attacker::Client => "a client of Docker's API",
            Attacker::Container => "a container",
            Attacker::Process => "a process without root",
            Attacker::Tenant => "another tenant",
            Attacker::Thief => "who has the disk",
            Attacker::Below => "who goes below Docker",
        })
    }
}

/// What the same act comes to without Cofferdam.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// It succeeds, and is seen to.
    Succeeds,
    /// It succeeds where this machine lets a container be privileged, which a container that is a machine may not.
    WherePrivileged,
    /// There is no such act, for this reason.
    Impossible(&'static str),
}

/// What the attacker is told where he is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A sentence of Cofferdam's, with these words in it.
    Sentence(&'static [&'static str]),
    /// Nothing of ours: he goes round Cofferdam, and finds nothing.
    Nothing,
}

/// One attack.
#[derive(Debug, Clone, Copy)]
pub struct Attack {
    /// `room::what_is_done`.
    pub name: &'static str,
    /// Who.
    pub attacker: Attacker,
    /// What he does.
    pub act: &'static str,
    /// What should come of it.
    pub expected: &'static str,
    /// What comes of it without Cofferdam.
    pub control: Control,
    /// What he is told.
    pub answer: Answer,
    /// Does it.
    pub body: fn(&mut Ground) -> Outcome<Evidence>,
}

impl Attack {
    /// An attack that succeeds without Cofferdam, and finds nothing with it.
    pub(super) const fn new(
        name: &'static str,
        attacker: Attacker,
        act: &'static str,
        expected: &'static str,
        body: fn(&mut Ground) -> Outcome<Evidence>,
    ) -> Self {
        Attack {
            name,
            attacker,
            act,
            expected,
            control: Control::Succeeds,
            answer: Answer::Nothing,
            body,
        }
    }

    /// The attacker must be told why, with these words.
    pub(super) const fn told(mut self, words: &'static [&'static str]) -> Self {
        self.answer = Answer::Sentence(words);
        self
    }

    /// Without Cofferdam there is no such act.
    pub(super) const fn without_control(mut self, why: &'static str) -> Self {
        self.control = Control::Impossible(why);
        self
    }

    /// Without Cofferdam it succeeds where a container can be privileged.
    pub(super) const fn where_privileged(mut self) -> Self {
        self.control = Control::WherePrivileged;
        self
    }

    /// The room that it is in.
    pub fn room(&self) -> &'static str {
        self.name.split_once("::").map_or(self.name, |(room, _)| room)
    }
}

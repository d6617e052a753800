//! What is recorded.
//!
//! Environment variables, labels and annotations never enter the ledger, for they hold secrets: a decision names the
//! digest of the measurement it was taken on, which binds them without telling them.
//!
//! Sentences and lists of sentences hold what clients chose, so they are bounded when a record is built: a text to
//! [`TEXT_MAX`] characters, the last of them `…` where it was cut; a list of texts to [`TEXTS_MAX`], the last of them
//! saying how many more there were. Names and ids are bounded by their types. The volumes of a decision are all kept:
//! a record that left one out would hide it.

use cofferdam_model::{
    AppName, ContainerId, DecisionId, Epoch, Measurement, Problem, Result, Sha256, VolumeId, VolumeName,
};
use serde::{Deserialize, Serialize};
use sha2::Digest;

/// The longest text, in characters.
pub const TEXT_MAX: usize = 512;

/// The most texts in a list.
pub const TEXTS_MAX: usize = 64;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// It was decided whether a container may have what it asks for.
    Decision {
        /// About which container.
        container: ContainerId,
        /// The decision's id, as `cofferdam why` takes it.
        decision: DecisionId,
        /// What was asked: `open`, `exec` or `checkpoint`.
        verb: String,
        /// The answer for each volume asked for.
        volumes: Vec<VolumeOutcome>,
        /// The answer for the whole.
        allowed: bool,
        /// The digest of the measurement ([`measurement_digest`]); none where the container could not be measured.
        measurement: Option<Sha256>,
        /// Every reason, each one sentence.
        reasons: Vec<String>,
    },
    /// A volume's key was unwrapped and given to the volume's disk server.
    KeyReleased {
        /// The volume.
        volume: VolumeName,
        /// Its unchanging identity.
        id: VolumeId,
        /// The version of the deed that held the key.
        deed: u64,
        /// The container it was opened for; none where the daemon itself has it opened, to encrypt it anew or make it larger.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        container: Option<ContainerId>,
    },
    /// Another key was given to a volume's disk server, to encrypt everything anew under it.
    RotationBegun {
        /// The volume.
        volume: VolumeName,
        /// Its unchanging identity.
        id: VolumeId,
        /// The version of the deed that has both keys.
        deed: u64,
    },
    /// Nothing of a volume is under the key that it had before.
    Rotated {
        /// The volume.
        volume: VolumeName,
        /// Its unchanging identity.
        id: VolumeId,
    },
    /// A volume was opened.
    Opened {
        /// The volume.
        volume: VolumeName,
        /// Its unchanging identity.
        id: VolumeId,
        /// The opening's number.
        epoch: Epoch,
    },
    /// A volume was closed, and its key wiped.
    Closed {
        /// The volume.
        volume: VolumeName,
        /// Its unchanging identity.
        id: VolumeId,
        /// The opening's number.
        epoch: Epoch,
        /// Why, in one sentence.
        reason: String,
    },
    /// Something of a volume's was not what was sealed.
    Tampering {
        /// The volume.
        volume: VolumeName,
        /// Its unchanging identity.
        id: VolumeId,
        /// What was found, in one sentence.
        what: String,
    },
    /// An administrative act.
    Act {
        /// What was done, such as `volume create`.
        verb: String,
        /// To what, such as `payments.pgdata`.
        subject: String,
        /// With which properties, each one text.
        detail: Vec<String>,
        /// By whom.
        by: Actor,
    },
}

/// What a decision said of one volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeOutcome {
    /// The volume asked for.
    pub volume: VolumeName,
    /// The app that the measurement proved, where it proved one.
    pub app: Option<AppName>,
    /// May be opened.
    pub allowed: bool,
    /// May be read only.
    pub read_only: bool,
}

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Actor {
    /// The daemon itself, of its own accord.
    Daemon,
    /// A process, as the kernel named it (`SO_PEERCRED`).
    Peer {
        /// Its user.
        uid: u32,
        /// Its process id in the daemon's pid namespace.
        pid: u32,
    },
    /// A client of Docker's, as Docker named it.
    Docker {
        /// The name, as the client's certificate has it, with nothing in it that does not print; empty for whoever is nobody in
        /// particular, as all are who come over Docker's own socket.
        user: String,
        /// How Docker knows: `TLS`.
        method: String,
    },
}

/// The longest name of a client of Docker's, in characters.
const USER_MAX: usize = 128;

impl Actor {
    /// A client of Docker's, by a name that anybody may have chosen who could have a certificate signed.
    #[must_use]
    pub fn docker(user: &str, method: &str) -> Self {
        let plain = |text: &str| {
            let mut plain = String::new();
            for letter in text.chars().take(USER_MAX + 1) {
                match letter {
                    '\'' | '"' => plain.push(letter),
                    letter => plain.extend(letter.escape_debug()),
                }
            }
            cut(&mut plain, USER_MAX);
            plain
        };
        Actor::Docker {
            user: plain(user),
            method: plain(method),
        }
    }

    fn bounded(&mut self) {
        if let Actor::Docker { user, method } = self {
            cut(user, USER_MAX);
            cut(method, USER_MAX);
        }
    }
}

/// The digest by which a decision's record names the measurement: of its JSON.
///
/// # Errors
/// `internal` where it cannot be written as JSON.
pub fn measurement_digest(measurement: &Measurement) -> Result<Sha256> {
    let json = serde_json::to_vec(measurement)
        .map_err(|error| Problem::internal(format!("cannot write the measurement as JSON: {error}")))?;
    Ok(digest(&json))
}

/// The digest by which a record names what is too long for it.
#[must_use]
pub fn digest(bytes: &[u8]) -> Sha256 {
    Sha256::from_bytes(sha2::Sha256::digest(bytes).into())
}

impl Event {
    /// The event with its texts bounded.
    pub(crate) fn bounded(mut self) -> Self {
        match &mut self {
            Event::Decision { verb, reasons, .. } => {
                bound(verb);
                bound_all(reasons);
            }
            Event::Closed { reason: text, .. } | Event::Tampering { what: text, .. } => bound(text),
            Event::Act {
                verb,
                subject,
                detail,
                by,
            } => {
                bound(verb);
                bound(subject);
                bound_all(detail);
                by.bounded();
            }
            Event::KeyReleased { .. }
            | Event::RotationBegun { .. }
            | Event::Rotated { .. }
            | Event::Opened { .. } => {}
        }
        self
    }
}

fn bound(text: &mut String) {
    cut(text, TEXT_MAX);
}

/// Leaves `longest` characters of a text, the last of them `…` where it was cut.
fn cut(text: &mut String, longest: usize) {
    if text.chars().nth(longest).is_some() {
        *text = text.chars().take(longest - 1).chain(['…']).collect();
    }
}

fn bound_all(texts: &mut Vec<String>) {
    if texts.len() > TEXTS_MAX {
        let more = texts.len() - (TEXTS_MAX - 1);
        texts.truncate(TEXTS_MAX - 1);
        texts.push(format!("… and {more} more"));
    }
    texts.iter_mut().for_each(bound);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(subject: String, detail: Vec<String>) -> (String, Vec<String>) {
        let event = Event::Act {
            verb: "v".into(),
            subject,
            detail,
            by: Actor::Daemon,
        };
        match event.bounded() {
            Event::Act { subject, detail, .. } => (subject, detail),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let (text, list) = ("ä".repeat(TEXT_MAX), vec!["x".to_owned(); TEXTS_MAX]);
        assert_eq!(act(text.clone(), list.clone()), (text, list));
    }

    #[test]
    fn a_name_out_of_a_certificate_is_bounded_and_prints() {
        let user = |text: &str| match Actor::docker(text, "TLS") {
            Actor::Docker { user, .. } => user,
            other => panic!("{other:?}"),
        };
        assert_eq!(user("Ада O'Brien \"x\""), "Ада O'Brien \"x\"");
        assert_eq!(user("a\nb\u{1b}[2J\u{202e}\\n"), "a\\nb\\u{1b}[2J\\u{202e}\\\\n");
        let long = user(&"\u{1b}".repeat(USER_MAX));
        assert!(long.chars().count() == USER_MAX && long.ends_with('…'), "{long}");
        let mut written_by_hand = Event::Act {
            verb: String::new(),
            subject: String::new(),
            detail: Vec::new(),
            by: Actor::Docker {
                user: "x".repeat(USER_MAX + 1),
                method: String::new(),
            },
        }
        .bounded();
        assert!(
            matches!(&mut written_by_hand, Event::Act { by: Actor::Docker { user, .. }, .. }
            if user.chars().count() == USER_MAX)
        );
    }

    #[test]
    fn what_is_longer_is_cut_and_says_so() {
        let (text, list) = act(
            "ä".repeat(TEXT_MAX + 1),
            vec!["x".repeat(TEXT_MAX + 7); TEXTS_MAX + 1],
        );
        assert_eq!(text, format!("{}…", "ä".repeat(TEXT_MAX - 1)));
        assert_eq!(list.len(), TEXTS_MAX);
        assert_eq!(list[0].chars().count(), TEXT_MAX);
        assert_eq!(list[TEXTS_MAX - 1], "… and 2 more");
    }
}

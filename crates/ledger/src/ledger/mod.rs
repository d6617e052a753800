//! The ledger on disk: appending, and reading what was appended.
//!
//! | room | subject |
//! |---|---|
//! | `files` | the directory, the lock, reading and writing |
//! | `recover` | what is found when a log is opened |
//! | `state` | what spares reading all of it |
//! | `writer` | frames, and who waits for them |
//! | `backwards` | lines from the end |
//! | `read` | tails, exports, proofs |
//!
//! **Threads.** Any number may append. While one writes and waits for the disk, the others queue; the next of them
//! writes what all of them have, as one frame. Readers disturb nobody: what was acknowledged never changes.

mod backwards;
mod files;
mod read;
mod recover;
mod state;
mod writer;

use crate::checkpoint::Checkpoint;
use crate::event::Event;
use crate::record::{NOTHING_BEFORE, Record};
use crate::tree::Frontier;
use crate::verifier_key::VerifierKey;
use cofferdam_model::{Problem, Result, Sha256};
use cofferdam_vault::SigningKey;
use files::Files;
use jiff::Timestamp;
use recover::{Recovered, recover};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use writer::{Batch, Ticket, Writer};

/// The ledger, open and locked.
#[derive(Debug)]
pub struct Ledger {
    files: Files,
    verifier: VerifierKey,
    queue: Mutex<Queue>,
    writer: Mutex<Writer>,
    published: Mutex<Published>,
    cut: u64,
}

/// Who waits for the next frame.
#[derive(Debug, Default)]
struct Queue {
    next: Ticket,
    waiting: Vec<Batch>,
}

/// What was acknowledged.
#[derive(Debug, Clone)]
struct Published {
    checkpoint: Checkpoint,
    /// The byte behind it.
    offset: u64,
    /// The leaf hash of the last record.
    last: Sha256,
}

impl Ledger {
    /// Opens the ledger in `directory`, which exists, and begins one where there is none. `key` signs it, under the name
    /// `origin`; both stay the same as long as the ledger lives.
    ///
    /// Reads what was written since the state was last saved, or all of it.
    ///
    /// # Errors
    /// `invalid` where `origin` is no name; `busy` where another process has the ledger; `corrupt`, with the place,
    /// where it is not what `key` signed; `unavailable` or `internal`, as the system says.
    pub fn open(directory: &Path, key: SigningKey, origin: &str) -> Result<Self> {
        let verifier = VerifierKey::new(origin.parse()?, key.verifying());
        let files = Files::open(directory)?;
        let Recovered { tip, saved, cut } = recover(&files, &verifier)?;
        let published = match &tip {
            Some(tip) => Published {
                checkpoint: tip.checkpoint.clone(),
                offset: tip.offset,
                last: tip.last,
            },
            None => Published {
                checkpoint: Checkpoint::sign(&Frontier::default(), &verifier, &key),
                offset: 0,
                last: NOTHING_BEFORE,
            },
        };
        Ok(Ledger {
            files,
            queue: Mutex::default(),
            writer: Mutex::new(Writer::new(key, verifier.clone(), tip, saved)),
            verifier,
            published: Mutex::new(published),
            cut,
        })
    }

    /// Records `events`, in this order and next to each other, and waits until they are durable. Answers the index of
    /// the first.
    ///
    /// # Errors
    /// `invalid` where there is no event or one is too large. Anything else means that the ledger cannot be written:
    /// the events are not recorded, and none will be until it is opened anew.
    pub fn append(&self, at: Timestamp, events: Vec<Event>) -> Result<u64> {
        if events.is_empty() {
            return Err(Problem::invalid("there is nothing to record"));
        }
        let events: Vec<Event> = events.into_iter().map(Event::bounded).collect();
        for event in &events {
            // Refused here, one event is nobody else's trouble. No index is longer than this one.
            Record::new(u64::MAX, at, NOTHING_BEFORE, event.clone()).line()?;
        }
        let ticket = self.enqueue(at, events)?;
        let mut writer = self.writer.lock().map_err(broken)?;
        // Who held the lock until now may have written for us.
        if let Some(answer) = writer.answer(ticket) {
            return answer;
        }
        let batches = std::mem::take(&mut self.queue.lock().map_err(broken)?.waiting);
        if let Some(tip) = writer.write(&self.files, batches) {
            let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
            *published = Published {
                checkpoint: tip.checkpoint.clone(),
                offset: tip.offset,
                last: tip.last,
            };
        }
        writer.answer(ticket).unwrap_or_else(|| Err(broken(())))
    }

    fn enqueue(&self, at: Timestamp, events: Vec<Event>) -> Result<Ticket> {
        let mut queue = self.queue.lock().map_err(broken)?;
        let ticket = queue.next;
        queue.next += 1;
        queue.waiting.push(Batch { ticket, at, events });
        Ok(ticket)
    }

    /// The checkpoint of all that was acknowledged.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        self.published().checkpoint
    }

    /// The key that verifies this ledger, for whoever is to verify it elsewhere.
    #[must_use]
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.verifier
    }

    /// How many bytes of an unfinished frame were cut when the ledger was opened. Nothing of them was acknowledged.
    #[must_use]
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// Closes the ledger, so that it opens without being read through. Dropping it does the same, and tells nobody where
    /// that fails.
    ///
    /// # Errors
    /// As the system says; nothing of the ledger is lost.
    pub fn close(self) -> Result<()> {
        self.writer.lock().map_err(broken)?.save(&self.files)
    }

    fn published(&self) -> Published {
        // It is replaced whole: whoever held the lock and died left a whole one.
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        published.clone()
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if let Ok(writer) = self.writer.get_mut() {
            // There is nobody to tell, and nothing is lost: the next start reads more of the log.
            drop(writer.save(&self.files));
        }
    }
}

fn broken<T>(_: T) -> Problem {
    Problem::internal("the ledger's writer has failed").remedy("start the daemon again")
}

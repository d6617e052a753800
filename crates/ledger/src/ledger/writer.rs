//! The one who writes: makes a frame of what waits, writes it, and answers everybody who waited.
//!
//! INVARIANT: once writing has failed, nothing is written or acknowledged any more. What the kernel still holds of a
//! write that failed is unknown (fsync(2) reports an error once), so only a ledger that is opened anew, and read, knows
//! where it ends.

use super::files::Files;
use super::state;
use crate::checkpoint::Checkpoint;
use crate::event::Event;
use crate::problem;
use crate::record::{NOTHING_BEFORE, Record};
use crate::tip::Tip;
use crate::tree::{Frontier, leaf_hash};
use crate::verifier_key::VerifierKey;
use cofferdam_model::{Problem, Result, Sha256};
use cofferdam_vault::SigningKey;
use jiff::Timestamp;
use std::collections::HashMap;

/// After how many records the state is written again: what has to be read of the log after a crash.
const STATE_EVERY: u64 = 1024;

/// Names somebody who waits.
pub(super) type Ticket = u64;

/// What somebody wants recorded.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) ticket: Ticket,
    pub(super) at: Timestamp,
    pub(super) events: Vec<Event>,
}

/// The end of the log, and what goes there.
#[derive(Debug)]
pub(super) struct Writer {
    key: SigningKey,
    verifier: VerifierKey,
    /// Where the log ends; none where it is empty.
    tip: Option<Tip>,
    /// How many records there were when the state was last written, or failed to be.
    saved: u64,
    failed: Option<Problem>,
    answers: HashMap<Ticket, Result<u64>>,
}

impl Writer {
    pub(super) fn new(key: SigningKey, verifier: VerifierKey, tip: Option<Tip>, saved: u64) -> Self {
        Writer {
            key,
            verifier,
            tip,
            saved,
            failed: None,
            answers: HashMap::new(),
        }
    }

    /// The answer to whoever has this ticket: the index of the first of the events. None where nobody has written them.
    pub(super) fn answer(&mut self, ticket: Ticket) -> Option<Result<u64>> {
        self.answers.remove(&ticket)
    }

    /// Writes all batches as one frame, durably, and has an answer for each. Answers where the log then ends; none where
    /// nothing was written.
    pub(super) fn write(&mut self, files: &Files, batches: Vec<Batch>) -> Option<&Tip> {
        let tickets: Vec<Ticket> = batches.iter().map(|batch| batch.ticket).collect();
        let written = match &self.failed {
            Some(problem) => Err(problem.clone()),
            None => self.frame(files, batches),
        };
        match written {
            Ok((tip, firsts)) => {
                let answers = firsts.into_iter().map(Ok);
                self.answers.extend(tickets.into_iter().zip(answers));
                self.tip = Some(tip);
                self.save_now_and_then(files);
                self.tip.as_ref()
            }
            Err(problem) => {
                let answers = std::iter::repeat_with(|| Err(problem.clone()));
                self.answers.extend(tickets.into_iter().zip(answers));
                self.failed.get_or_insert_with(|| {
                    problem
                        .context("the ledger has failed, and records nothing until it is opened anew")
                        .remedy("put that right and start the daemon again")
                });
                None
            }
        }
    }

    /// Writes one frame. Answers the new end, and the index of each batch's first record.
    fn frame(&self, files: &Files, batches: Vec<Batch>) -> Result<(Tip, Vec<u64>)> {
        let (offset, mut frontier, mut last) = self.end();
        let (mut bytes, mut firsts) = (Vec::new(), Vec::new());
        for batch in batches {
            firsts.push(frontier.size());
            for event in batch.events {
                let line = Record::new(frontier.size(), batch.at, last, event).line()?;
                last = leaf_hash(&line);
                frontier.push(last);
                bytes.extend(line);
                bytes.push(b'\n');
            }
        }
        let checkpoint = Checkpoint::sign(&frontier, &self.verifier, &self.key);
        bytes.extend(checkpoint.line()?);
        bytes.push(b'\n');
        append(files, &bytes, offset)?;
        let tip = Tip {
            offset: offset + bytes.len() as u64,
            checkpoint,
            frontier,
            last,
        };
        Ok((tip, firsts))
    }

    fn end(&self) -> (u64, Frontier, Sha256) {
        match &self.tip {
            Some(tip) => (tip.offset, tip.frontier.clone(), tip.last),
            None => (0, Frontier::default(), NOTHING_BEFORE),
        }
    }

    /// A state that cannot be written costs the next start its time, and nothing else.
    fn save_now_and_then(&mut self, files: &Files) {
        let size = self.tip.as_ref().map_or(0, |tip| tip.checkpoint.size());
        if size.saturating_sub(self.saved) >= STATE_EVERY && self.save(files).is_err() {
            self.saved = size;
        }
    }

    /// Writes the state of what was acknowledged, unless it has all of that already.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn save(&mut self, files: &Files) -> Result<()> {
        let Some(tip) = &self.tip else {
            return Ok(());
        };
        if tip.checkpoint.size() > self.saved {
            state::write(tip, files)?;
            self.saved = tip.checkpoint.size();
        }
        Ok(())
    }
}

/// Writes a frame at the log's end.
fn append(files: &Files, bytes: &[u8], offset: u64) -> Result<()> {
    let fail = |error| problem("cannot write the ledger", error);
    if !files.is_untouched(offset).map_err(fail)? {
        return Err(
            Problem::corrupt("the ledger's file was moved away, cut or written by somebody else")
                .remedy("find out who did it; put the file back as it was and start the daemon again"),
        );
    }
    files.append(bytes, offset).map_err(|error| {
        let failed = fail(error);
        // Nobody was told of what arrived of it.
        match files.cut(offset) {
            Ok(()) => failed,
            Err(error) => failed.context(format!("and cannot take back what arrived ({error})")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Actor;

    fn batch(ticket: Ticket, events: usize) -> Batch {
        let event = |n: usize| Event::Act {
            verb: "v".into(),
            subject: format!("{ticket}.{n}"),
            detail: Vec::new(),
            by: Actor::Daemon,
        };
        Batch {
            ticket,
            at: Timestamp::UNIX_EPOCH,
            events: (0..events).map(event).collect(),
        }
    }

    #[test]
    fn all_who_wait_share_one_frame_and_each_has_his_answer() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::open(directory.path()).unwrap();
        let key = SigningKey::take(&mut [1; 32]).unwrap();
        let verifier = VerifierKey::new("example.com/l".parse().unwrap(), key.verifying());
        let mut writer = Writer::new(key, verifier.clone(), None, 0);
        for ticket in [0, 100] {
            let batches = vec![batch(ticket, 2), batch(ticket + 1, 1), batch(ticket + 2, 3)];
            assert!(writer.write(&files, batches).is_some());
        }
        for (ticket, first) in [(0, 0), (1, 2), (2, 3), (100, 6), (101, 8), (102, 9)] {
            assert_eq!(writer.answer(ticket), Some(Ok(first)));
            assert_eq!(writer.answer(ticket), None);
        }
        let log = std::fs::read(directory.path().join("ledger.log")).unwrap();
        let verified = crate::verify(&log[..], &verifier, None, &mut |_| {}).unwrap();
        assert_eq!((verified.records, verified.frames), (12, 2));
        // Who waits while it fails hears of it too.
        std::fs::remove_file(directory.path().join("ledger.log")).unwrap();
        assert!(writer.write(&files, vec![batch(200, 1), batch(201, 1)]).is_none());
        assert!(writer.answer(200).unwrap().is_err());
        assert!(writer.answer(201).unwrap().is_err());
    }
}

//! Another key, and a larger disk, while the volume is in use.

use super::Volume;
use crate::{
    fault::{Fault, Outcome},
    geometry::BLOCK,
    log::{
        Haste,
        rotate::{Change, MOST_AT_ONCE, Rotation, Turn},
    },
    store::Store,
};
use cofferdam_vault::VolumeKey;
use std::sync::{Arc, atomic::Ordering};

impl<S: Store> Volume<S> {
    /// Has everything encrypted anew under another key. When this returns, all that is written from here on is under it, and
    /// opening the volume takes both keys; upkeep moves the rest, until [`Volume::rotation`] is none.
    ///
    /// # Errors
    /// [`Fault::Invalid`] where a rotation is under way; as [`Volume::flush`].
    pub fn rotate(&self, key: VolumeKey) -> Outcome {
        self.change_head(Change::Rotate(Arc::new(key)))
    }

    /// How far the rotation is; none where there is none.
    pub fn rotation(&self) -> Option<Rotation> {
        self.lock().rotation()
    }

    /// Makes the disk larger, to so many bytes: a multiple of 4096. The size that it has is no error.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for a smaller size, or one that its segments are too small for; as [`Volume::flush`].
    pub fn grow(&self, bytes: u64) -> Outcome {
        let blocks = bytes / BLOCK as u64;
        if !bytes.is_multiple_of(BLOCK as u64) {
            return Err(Fault::Invalid("the size must be a multiple of 4096"));
        }
        if bytes == self.size() {
            return Ok(());
        }
        self.change_head(Change::Grow(blocks))?;
        self.blocks.store(blocks, Ordering::Relaxed);
        Ok(())
    }

    /// Changes the head, and waits for it.
    pub(super) fn change_head(&self, change: Change) -> Outcome {
        let _turn = self.take_turn();
        self.alive()?;
        // One that waits for room is begun anew later; one that is sealed needs none.
        self.lock().give_up_checkpoint();
        if !self.lock().head_has_moved() {
            self.checkpoint(false)?;
        }
        self.make_head_change(change)?;
        self.wake_keeper();
        Ok(())
    }

    fn make_head_change(&self, change: Change) -> Outcome {
        self.lock().change_head(change)?;
        while self.lock().head_is_to_change() {
            if !self.do_one(Haste::Leisure)? {
                let log = self.lock();
                if log.head_is_to_change() && log.is_moving() {
                    drop(self.wait(log));
                }
            }
        }
        Ok(())
    }

    /// Encrypts some segments anew; answers whether a checkpoint is to follow. Whoever calls has the turn of upkeep.
    pub(super) fn rotate_some(&self) -> Outcome<bool> {
        if self.lock().rotation().is_none() {
            return Ok(false);
        }
        if let Some(name) = self.lock().spare_what_stays() {
            self.report(&Fault::at(
                name,
                0,
                "cells are alive in it that none of its records has",
            ));
        }
        self.lock().try_room_again();
        let mut done = Vec::new();
        while done.len() < MOST_AT_ONCE {
            let turn = self.lock().next_turn(&done)?;
            match turn {
                Turn::Empty(victim) => {
                    done.push(victim.slot);
                    if !self.clean_one(&victim)? {
                        break;
                    }
                    self.lock().note_emptied(&victim);
                }
                Turn::Checkpoint => return Ok(true),
                // A checkpoint that waits for room has the head first.
                Turn::End if !self.lock().head_has_moved() => return Ok(true),
                Turn::End => {
                    self.make_head_change(Change::EndRotation)?;
                    // What is left in files that wait to be used again is under the key before.
                    self.store.shrink(0);
                    break;
                }
                Turn::Rest => break,
            }
        }
        Ok(!done.is_empty())
    }
}

//! What the daemon wishes of the worker: on its way there, and answered.

use super::{NOT_TOLD, Watch};
use crate::{
    notice::notice,
    problem::doing,
    wish::{Asked, Told, Wish},
};
use cofferdam_model::{Problem, Result, disk::Rotation};
use std::sync::PoisonError;

impl Watch {
    /// Somebody wishes something, or that the volume be closed.
    pub(super) fn answer_bell(&mut self) -> Result<()> {
        let mut rings = [0; 16];
        let rung = rustix::io::read(&self.bell, &mut rings);
        if rung.map_err(|error| doing("hearing the bell")(error.into()))? == 0 {
            self.is_closing = true;
            // One that follows another is told once it serves.
            if let Some(worker) = self.worker.as_ref().filter(|worker| worker.is_briefed()) {
                worker.close()?;
            }
            return Ok(());
        }
        while let Ok(asked) = self.wishes.try_recv() {
            self.take_wish(asked);
        }
        Ok(())
    }

    fn take_wish(&mut self, asked: Asked) {
        let Asked { wish, answer } = asked;
        let keys = &self.setting.keys;
        let (again, rotates) = match &wish {
            Wish::Rotate(key) => (keys.has(key), true),
            Wish::Grow(_) => (false, false),
        };
        // One that was announced, and has not begun, a worker has refused: it is asked once more.
        if again && keys.rotation() != Some(false) {
            drop(answer.send(Ok(())));
            return;
        }
        if self.asked.is_some() || rotates && !again && keys.rotation().is_some() {
            let problem =
                Problem::conflict("the volume is being changed already").remedy("wait until that has ended");
            drop(answer.send(Err(problem)));
            return;
        }
        // One that was not told yet what to serve will be told this too.
        let worker = self.worker.as_ref().filter(|worker| worker.is_briefed());
        let (told, sent) = match wish {
            Wish::Rotate(key) => {
                let sent = worker.map_or(Ok(()), |worker| worker.rotate(&key));
                if !again {
                    self.setting.keys.rotate(key);
                    self.set_rotation(Some(NOT_TOLD));
                }
                (Told::Rotation, sent)
            }
            Wish::Grow(bytes) => {
                let sent = worker.map_or(Ok(()), |worker| worker.grow(bytes));
                (Told::Growth(bytes), sent)
            }
        };
        match sent {
            Ok(()) => self.asked = Some((told, answer)),
            // One order that cannot be given is no reason to end the disk.
            Err(problem) => drop(answer.send(Err(problem))),
        }
    }

    pub(super) fn answer_wish(&mut self, result: Result<()>) {
        if let Some((_, answer)) = self.asked.take() {
            // Whoever asked waits for it.
            drop(answer.send(result));
        }
    }

    /// What the worker says of a rotation: that it is under way, or that it has ended. Of one that has not begun it says nothing.
    pub(super) fn note_rotation(&mut self, rotation: Option<Rotation>) {
        self.set_rotation(rotation);
        match rotation {
            Some(_) => self.setting.keys.begin(),
            None => {
                if self.setting.keys.rotation().is_some() {
                    notice("everything is encrypted anew: the key before is needed no longer");
                }
                self.setting.keys.end_rotation();
            }
        }
        if matches!(self.asked, Some((Told::Rotation, _))) {
            self.answer_wish(Ok(()));
        }
    }

    fn set_rotation(&self, rotation: Option<Rotation>) {
        *self.rotation.lock().unwrap_or_else(PoisonError::into_inner) = rotation;
    }
}

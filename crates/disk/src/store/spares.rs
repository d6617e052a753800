//! Files of deleted segments that wait to be used again. What is in them never matters: a segment's own key opens
//! nothing of it. What they *are* does, since whoever can write to the store can put other things in their place.

use rustix::fs::{AtFlags, Dir};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Mutex, PoisonError},
};

/// The directory `spare` and what is in it.
#[derive(Debug)]
pub(super) struct Spares {
    pub(super) directory: OwnedFd,
    waiting: Mutex<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    names: Vec<String>,
    next: u64,
}

impl Spares {
    pub(super) fn new(directory: OwnedFd) -> io::Result<Self> {
        let names = names(directory.as_fd())?;
        let numbers = names.iter().filter_map(|name| name.parse::<u32>().ok());
        let next = u64::from(numbers.max().unwrap_or(0)) + 1;
        Ok(Spares {
            directory,
            waiting: Mutex::new(Waiting { names, next }),
        })
    }

    /// A name to take a file from.
    pub(super) fn take(&self) -> Option<String> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.names.pop()
    }

    /// Takes in a file out of `from`, where fewer than `most` wait; answers whether it did.
    pub(super) fn keep(&self, from: &OwnedFd, name: &str, most: usize) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.names.len() >= most {
            return false;
        }
        let spare = waiting.next.to_string();
        waiting.next += 1;
        let kept = rustix::fs::renameat(from, name, &self.directory, spare.as_str()).is_ok();
        if kept {
            waiting.names.push(spare);
        }
        kept
    }

    /// Deletes all but `most` of them.
    pub(super) fn shrink(&self, most: usize) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let least = most.min(waiting.names.len());
        for name in waiting.names.split_off(least) {
            self.throw_away(&name);
        }
    }

    /// Deletes what cannot be used; what cannot be deleted either stays, and is of no use to anybody.
    pub(super) fn throw_away(&self, name: &str) {
        rustix::fs::unlinkat(&self.directory, name, AtFlags::empty()).unwrap_or_default();
    }
}

/// What is in a directory.
///
/// # Errors
/// `InvalidData` for a name that is not UTF-8; as getdents(2).
pub(super) fn names(directory: BorrowedFd<'_>) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        match entry.file_name().to_str() {
            Ok("." | "..") => {}
            Ok(name) => names.push(name.to_owned()),
            Err(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a name that is not UTF-8",
                ));
            }
        }
    }
    Ok(names)
}

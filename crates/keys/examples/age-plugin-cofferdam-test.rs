//! An age plugin for the tests. It keeps no secret: a file key is masked with the recipient's bytes, and the identity
//! holds the same bytes. Without arguments it prints a pair of them.
//!
//! A recipient that begins with 0xff is refused, so that a plugin's refusal can be tested.

use age_core::format::{FileKey, Stanza};
use age_core::secrecy::ExposeSecret;
use age_plugin::identity::{self, IdentityPluginV1};
use age_plugin::recipient::{self, RecipientPluginV1};
use age_plugin::{Callbacks, PluginHandler, print_new_identity, run_state_machine};
use std::collections::{HashMap, HashSet};
use std::io;

const NAME: &str = "cofferdam-test";

struct Handler;

impl PluginHandler for Handler {
    type RecipientV1 = Masks;
    type IdentityV1 = Masks;

    fn recipient_v1(self) -> io::Result<Masks> {
        Ok(Masks::default())
    }

    fn identity_v1(self) -> io::Result<Masks> {
        Ok(Masks::default())
    }
}

/// What file keys are masked with.
#[derive(Default)]
struct Masks(Vec<[u8; 16]>);

impl Masks {
    fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        match <[u8; 16]>::try_from(bytes) {
            Ok(mask) if name == NAME && mask[0] != 0xff => self.0.push(mask),
            _ => return Err("the device is not plugged in".to_owned()),
        }
        Ok(())
    }
}

fn masked(mask: &[u8; 16], key: &[u8; 16]) -> [u8; 16] {
    let mut masked = *key;
    masked.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    masked
}

/// Tells for which recipient a copy is.
fn hint(mask: &[u8; 16]) -> String {
    format!("{:02x}", mask.iter().fold(0, |sum, byte| sum ^ byte))
}

impl RecipientPluginV1 for Masks {
    fn add_recipient(&mut self, index: usize, name: &str, bytes: &[u8]) -> Result<(), recipient::Error> {
        self.add(name, bytes)
            .map_err(|message| recipient::Error::Recipient { index, message })
    }

    fn add_identity(&mut self, index: usize, name: &str, bytes: &[u8]) -> Result<(), recipient::Error> {
        self.add(name, bytes)
            .map_err(|message| recipient::Error::Identity { index, message })
    }

    fn labels(&mut self) -> HashSet<String> {
        HashSet::new()
    }

    fn wrap_file_keys(
        &mut self,
        keys: Vec<FileKey>,
        _: impl Callbacks<recipient::Error>,
    ) -> io::Result<Result<Vec<Vec<Stanza>>, Vec<recipient::Error>>> {
        let copies = |key: &FileKey| {
            let copy = |mask: &[u8; 16]| Stanza {
                tag: NAME.to_owned(),
                args: vec![hint(mask)],
                body: masked(mask, key.expose_secret()).to_vec(),
            };
            self.0.iter().map(copy).collect()
        };
        Ok(Ok(keys.iter().map(copies).collect()))
    }
}

impl IdentityPluginV1 for Masks {
    fn add_identity(&mut self, index: usize, name: &str, bytes: &[u8]) -> Result<(), identity::Error> {
        self.add(name, bytes)
            .map_err(|message| identity::Error::Identity { index, message })
    }

    fn unwrap_file_keys(
        &mut self,
        files: Vec<Vec<Stanza>>,
        _: impl Callbacks<identity::Error>,
    ) -> io::Result<HashMap<usize, Result<FileKey, Vec<identity::Error>>>> {
        let open = |stanza: &Stanza| {
            let mask = self.0.iter().find(|mask| stanza.args == [hint(mask)])?;
            let body = <[u8; 16]>::try_from(stanza.body.as_slice()).ok()?;
            (stanza.tag == NAME).then(|| FileKey::new(Box::new(masked(mask, &body))))
        };
        let keys = files.iter().map(|stanzas| stanzas.iter().find_map(open));
        Ok(keys
            .enumerate()
            .filter_map(|(file, key)| Some((file, Ok(key?))))
            .collect())
    }
}

fn main() -> io::Result<()> {
    match std::env::args()
        .nth(1)
        .as_deref()
        .and_then(|argument| argument.strip_prefix("--age-plugin="))
    {
        Some(machine) => run_state_machine(machine, Handler),
        None => {
            let first = std::env::args().nth(1).map_or(7, |_| 0xff);
            let mask: [u8; 16] = std::array::from_fn(|index| if index == 0 { first } else { index as u8 });
            print_new_identity(NAME, &mask, &mask);
            Ok(())
        }
    }
}

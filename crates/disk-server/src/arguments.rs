//! The command line: one definition for parser and help.

use clap::{Args, Parser, Subcommand, ValueEnum};
use cofferdam_model::{ByteSize, Problem, Result, VolumeId};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, str::FromStr};

/// Create, serve, check and describe sealed disks
#[derive(Debug, Parser)]
#[command(
    name = "cofferdam-disk",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    long_about = "Create, serve, check and describe sealed disks.\n\n\
        A sealed disk is a virtual disk whose every block is encrypted and authenticated before it leaves this \
        process. It lies in a directory, its store; it is shown to the kernel as a block device with ext4 on it.\n\n\
        Exit codes: 0 done; 1 failed, or damage found; 2 the command line is wrong.",
    after_help = "Examples:\n  \
        cofferdam-disk create /srv/vault --size 10G --key-file /root/vault.key --new-key\n  \
        cofferdam-disk serve /srv/vault --key-file /root/vault.key --mount /mnt/vault\n  \
        cofferdam-disk check /srv/vault --key-file /root/vault.key"
)]
pub(crate) struct Line {
    /// Print the answer as JSON, and errors too
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a sealed disk, with an empty ext4 on it
    #[command(after_help = "Example:\n  \
        cofferdam-disk create /srv/vault --size 10G --key-file /root/vault.key --new-key")]
    Create(Create),
    /// Show a sealed disk to the kernel until SIGTERM or Ctrl-C
    #[command(after_help = "Examples:\n  \
        cofferdam-disk serve /srv/vault --key-file /root/vault.key --mount /mnt/vault\n  \
        cofferdam-disk serve /srv/vault --key-file /root/vault.key --witness /var/lib/vault.witness --json\n  \
        cofferdam-disk serve /srv/vault --key-file /root/new.key --previous-key-file /root/vault.key --mount /mnt/vault")]
    Serve(Serve),
    /// Read a whole disk that nobody has open, and verify every block; nothing is written
    #[command(after_help = "Example:\n  cofferdam-disk check /srv/vault --key-file /root/vault.key")]
    Check(Check),
    /// Say what a store holds
    #[command(after_help = "Examples:\n  cofferdam-disk info /srv/vault\n  \
        cofferdam-disk info /srv/vault --key-file /root/vault.key --json")]
    Info(Info),
    /// Open a disk for cofferdamd, with the key on standard input; not for people
    #[command(hide = true)]
    Open(Open),
    /// Serve what a supervisor sends; not for people
    #[command(hide = true)]
    Work,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The store: a directory that is not there yet, or empty
    pub(crate) store: PathBuf,
    /// Size of the disk, such as 10G
    #[arg(long, value_name = "SIZE")]
    pub(crate) size: ByteSize,
    #[command(flatten)]
    pub(crate) key: Key,
    /// Make a new key and write it to the key file, which must not be there yet
    #[arg(long)]
    pub(crate) new_key: bool,
    /// The volume's id: 32 hexadecimal digits that no other volume has [default: random]
    #[arg(long, value_name = "ID")]
    pub(crate) volume: Option<VolumeIdBytes>,
    /// Leave the disk empty: no ext4
    #[arg(long)]
    pub(crate) no_filesystem: bool,
    #[command(flatten)]
    pub(crate) access: AccessChoice,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The store
    pub(crate) store: PathBuf,
    #[command(flatten)]
    pub(crate) keys: Keys,
    /// Mount the disk's ext4 here
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) mount: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) witness: Witness,
    #[command(flatten)]
    pub(crate) access: AccessChoice,
    #[command(flatten)]
    pub(crate) cache: CacheChoice,
    /// Seconds that a request may take; a worker in which one takes longer is ended, and another one takes over
    #[arg(long, hide = true, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) patience: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Open {
    /// The store
    pub(crate) store: PathBuf,
    /// The volume's id that the store must hold
    #[arg(long, value_name = "ID")]
    pub(crate) volume: String,
    /// Two keys come on standard input, the volume's and the one before it
    #[arg(long, value_enum, value_name = "STATE")]
    pub(crate) rotating: Option<Rotating>,
    /// Where orders are taken: a socket that is not there yet
    #[arg(long, value_name = "SOCKET")]
    pub(crate) control: PathBuf,
    #[command(flatten)]
    pub(crate) witness: Witness,
    #[command(flatten)]
    pub(crate) access: AccessChoice,
    #[command(flatten)]
    pub(crate) cache: CacheChoice,
    /// As of serve
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) patience: u64,
}

/// A volume's id, as its head has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VolumeIdBytes(pub(crate) [u8; 16]);

impl FromStr for VolumeIdBytes {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self> {
        let id = VolumeId::try_from(text.to_owned()).map_err(|problem| {
            problem.remedy("write 32 hexadecimal digits, 0-9 and a-f, that no other volume has")
        })?;
        u128::from_str_radix(id.as_str(), 16)
            .map(|bits| VolumeIdBytes(bits.to_be_bytes()))
            .map_err(|_| Problem::invalid("not a volume id"))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The store
    pub(crate) store: PathBuf,
    #[command(flatten)]
    pub(crate) keys: Keys,
    #[command(flatten)]
    pub(crate) witness: Witness,
}

#[derive(Debug, Args)]
pub(crate) struct Info {
    /// The store
    pub(crate) store: PathBuf,
    /// Verify with this key what the store claims
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// The key that the disk had before, while it is rotated
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub(crate) previous_key_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Key {
    /// The volume key: 32 bytes in a file that belongs to you and that nobody else may read; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(flatten)]
    pub(crate) key: Key,
    /// The key that the disk had before: it is encrypted anew under --key-file, or was until it was closed
    #[arg(long, value_name = "FILE")]
    pub(crate) previous_key_file: Option<PathBuf>,
}

/// How far a rotation is known to have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rotating {
    /// The volume may be under the key before; opening begins it
    Announced,
    /// The volume is under the new key
    Begun,
}

impl Rotating {
    pub(crate) fn has_begun(self) -> bool {
        self == Rotating::Begun
    }
}

#[derive(Debug, Args)]
pub(crate) struct Witness {
    /// A file outside of the store that remembers the newest state, so that an older copy of the store is refused
    #[arg(long, value_name = "FILE")]
    pub(crate) witness: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AccessChoice {
    /// How the store is read and written: past the page cache of this host, or through it
    #[arg(long, value_enum, default_value = "cached", value_name = "WAY")]
    pub(crate) access: Access,
}

#[derive(Debug, Args)]
pub(crate) struct CacheChoice {
    /// When a write is answered: once it is taken, as by a disk with a write cache, or once it is on the store
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub(crate) write_cache: WriteCacheChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WriteCacheChoice {
    /// Through, where the store's syncs are quick (0.5 ms); back, where they are not
    Auto,
    /// Once it is taken; a flush brings it to the store
    Back,
    /// Once it is on the store; a commit is one request then
    Through,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Access {
    /// Written past it, read through it: what was read is kept there, encrypted
    Cached,
    /// Past it, both: for hosts that have no memory to spare
    Direct,
    /// Through it, both
    Buffered,
}

impl From<Access> for cofferdam_disk::Access {
    fn from(access: Access) -> Self {
        match access {
            Access::Cached => cofferdam_disk::Access::Cached,
            Access::Direct => cofferdam_disk::Access::Direct,
            Access::Buffered => cofferdam_disk::Access::Buffered,
        }
    }
}
